import assert from "node:assert/strict";
import { test } from "node:test";
import { parseIgnoreRule } from "./ignore.ts";

test("`parseIgnoreRule()` takes the last match, covers what is below, and always leaves .git out", () => {
  const rule = parseIgnoreRule("node_modules\n*.log\n!keep.log\n# comment\n**/tmp\ndocs/*.md\n");
  for (const path of [".git", ".git/HEAD", "node_modules/a/b", "x.log", "a/b/tmp", "tmp", "docs/a.md"])
    assert.ok(rule.skips(path), path);
  for (const path of ["keep.log", "a/x.log", "docs/a/b.md", ".gitignore", "tmpx"]) assert.ok(!rule.skips(path), path);
});

test("`parseIgnoreRule()` looks below a folder that is left out only where a later rule may take something back", () => {
  const rows: readonly [rules: string, folder: string, below: boolean][] = [
    ["node_modules", "node_modules", false],
    ["!keep\nnode_modules", "node_modules", false],
    ["!node_modules/a\nnode_modules", "node_modules", false],
    ["node_modules\n!keep", "node_modules", false],
    ["node_modules\n!keep/x", "node_modules", false],
    ["node_modules\n!node_modules", "node_modules", false],
    ["node_modules\n!node_modules/a", "node_modules", true],
    ["node_modules\n!node_modules/a", "node_modules/b", false],
    ["node_modules\n!node_modules/a/b", "node_modules/a", true],
    ["**\n!src", "src", false],
    ["**\n!src", "lib", false],
    ["**\n!src/*.ts", "src", true],
    ["**\n!src/*.ts", "src/deep", false],
    ["*\n!*/keep", "anything", true],
    ["*\n!a*/keep", "b", false],
    ["*\n!**/keep", "a/b/c", true],
    ["*\n!a/**/keep", "a/b/c", true],
    ["*\n!a/**/keep", "b/c", false],
    ["!**/.git", ".git", false],
  ];
  for (const [rules, folder, below] of rows)
    assert.equal(parseIgnoreRule(rules).mayKeepBelow(folder), below, `${JSON.stringify(rules)} ${folder}`);
});
