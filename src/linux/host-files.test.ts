import assert from "node:assert/strict";
import test from "node:test";
import { instanceResolvers } from "./host-files.ts";

test("instanceResolvers() keeps what an instance can reach", () => {
  const cases: readonly (readonly [string, string, string | undefined, string])[] = [
    [
      "real resolvers stay, with search and options",
      "# made by dhcp\nsearch lan\nnameserver 192.0.2.1\noptions ndots:2\n",
      undefined,
      "search lan\nnameserver 192.0.2.1\noptions ndots:2\n",
    ],
    [
      "a stub gives way to systemd-resolved's own list",
      "nameserver 127.0.0.53\n",
      "nameserver 192.0.2.7\nnameserver 2001:db8::1\n",
      "nameserver 192.0.2.7\nnameserver 2001:db8::1\n",
    ],
    [
      "a loopback resolver among others is left out",
      "nameserver 127.0.0.1\nnameserver 192.0.2.1\n",
      "nameserver 192.0.2.7\n",
      "nameserver 192.0.2.1\n",
    ],
    ["nothing but loopback gives none", "nameserver ::1\n", undefined, ""],
    ["an empty file gives an empty file", "", "nameserver 192.0.2.7\n", ""],
  ];
  for (const [sentence, text, upstream, expected] of cases)
    assert.equal(instanceResolvers(text, upstream), expected, sentence);
});
