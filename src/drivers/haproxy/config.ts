import type { RouterLayout } from "./layout.ts";
import { mostCanaries, releaseCookie, releaseHeader } from "../../model/route-rule.ts";
import { wholeWeight } from "../../model/strategy.ts";
import { holdMark } from "./routes.ts";
import type { PlacedSet, PoolRecord } from "./record.ts";

/**
 * HAProxy's configuration with the real addresses in it: a router started from it alone routes as the one before did.
 * Routes are in the map beside it.
 *
 * @see HAProxy 2.6 configuration manual
 */
export function renderConfig(record: PoolRecord, layout: RouterLayout, host: string): string {
  const placed = new Map(record.sets.map((set) => [set.backend, set]));
  const self = host === "0.0.0.0" ? "127.0.0.1" : host;
  const map = `map_beg(${layout.routes})`;
  const lines = [
    "# Written by bronze before each change; edits are lost.",
    "global",
    "    user haproxy",
    "    group haproxy",
    `    chroot ${layout.emptyFolder}`,
    "    fd-hard-limit 65536",
    `    stats socket ${layout.admin} mode 600 level admin`,
    "    stats timeout 10s",
    "    hard-stop-after 12h",
    "    mworker-max-reloads 10",
    // Its own HTTP client is not used: without this it reads the machine's certificates at each start, half of that time.
    "    httpclient.ssl.verify none",
    `    lua-load "${layout.hold}"`,
    "defaults clients",
    "    mode http",
    "    timeout client 5m",
    "    timeout http-request 30s",
    "    timeout http-keep-alive 75s",
    "    option http-ignore-probes",
    "defaults pool",
    "    mode http",
    "    timeout connect 2s",
    "    timeout server 5m",
    "    timeout tunnel 24h",
    "    timeout queue 5s",
    "    option forwardfor except 127.0.0.1",
    "    option redispatch 1",
    "    retries 3",
    "    retry-on conn-failure empty-response",
    "    http-request disable-l7-retry unless { method GET HEAD OPTIONS }",
    "    http-request disable-l7-retry if { req.hdr_val(content-length) gt 0 } or { req.hdr(transfer-encoding) -m found }",
    "    default-server check inter 500ms fall 2 rise 1 observe layer4 error-limit 1 on-error mark-down",
    "# Numbers the lines of the request log, so that a lost one is seen, and the requests that several sets share.",
    "backend lines from pool",
    "    stick-table type integer size 1 nopurge store gpc0,gpc1",
    "frontend web from clients",
    '    bind "fd@${BRONZE_LISTEN_FD}"',
    "    option idle-close-on-response",
    `    log 127.0.0.1:${record.logPort} format raw local0`,
    '    log-format "%pid %[sc0_inc_gpc0] %[var(txn.pick),field(2,:)] %ST %Ta %ts %B %U %s"',
    "    tcp-request connection track-sc0 int(1) table lines",
    "    http-request set-var(txn.host) req.hdr(host),host_only,lower",
    "    http-request set-var(txn.path) path",
    `    http-request set-var(txn.rule) var(txn.host),concat(,txn.path,/),${map}`,
    `    http-request set-var(txn.rule) str(*),concat(,txn.path,/),${map} unless { var(txn.rule) -m found }`,
    `    http-request lua.wait if { var(txn.rule) -m end "${holdMark}" } !{ stopping }`,
    '    http-request return status 404 content-type "text/plain; charset=utf-8" string "404 no route for this host and path\\n" unless { var(txn.rule) -m found } or { stopping }',
    "    http-request set-var(txn.pick) var(txn.rule),field(1,|)",
    ...renderCanaries(),
    "# A worker that a reload replaced knows no later change: the last request on each of its connections goes to its successor.",
    "    use_backend successor if { stopping }",
    "    use_backend %[var(txn.pick),field(1,:)]",
    "backend successor from pool",
    "    http-request set-log-level silent",
    `    server self "${self}:\${BRONZE_LISTEN_PORT}" no-check`,
  ];
  for (let backend = 0; backend < record.backends; backend += 1)
    lines.push(...renderBackend(backend, placed.get(backend), record.slotsEach));
  return `${lines.join("\n")}\n`;
}

/** Has no factor in common with 10,000, and is near the golden section of it. */
const stride = 6_181;

/**
 * Which set of a rule with several answers: in turn by their shares, unless the request names one. Numbers of requests
 * times the stride come to each number below 10,000 once in 10,000 requests, and evenly in few: shares are kept exactly,
 * not by chance, also of every second or tenth request. Where a rule has one set alone each line costs a look at a
 * variable that is not there.
 */
function renderCanaries(): string[] {
  const several = "{ var(txn.turn) -m found }";
  const named = "{ var(txn.wish) -m found }";
  const part = (place: number): string => `var(txn.rule),field(${place},|)`;
  const turn = `sc0_inc_gpc1,mul(${stride}),mod(${wholeWeight})`;
  const lines = [`    http-request set-var(txn.turn) ${turn} if { var(txn.rule) -m sub "|b" }`];
  // The sums rise: the smallest that is above the number has the last word.
  for (let canary = mostCanaries; canary >= 1; canary -= 1) {
    const isTurn = `{ ${part(1)},field(${canary + 2},:),sub(txn.turn) gt 0 }`;
    const pick = `http-request set-var(txn.pick) ${part(canary + 1)}`;
    lines.push(`    ${pick} if ${several} ${isTurn}`);
  }
  const isUp = "{ var(txn.pick),field(1,:),nbsrv gt 0 }";
  lines.push(`    http-request set-var(txn.pick) ${part(1)} if ${several} !${isUp}`);
  for (const source of [`req.cook(${releaseCookie})`, `req.hdr(${releaseHeader})`])
    lines.push(`    http-request set-var(txn.wish) ${source},lower if ${several} { ${source},length gt 0 }`);
  ["stable", "canary"].forEach((word, index) =>
    lines.push(`    http-request set-var(txn.pick) ${part(index + 1)} if ${named} { var(txn.wish) -m str ${word} }`),
  );
  for (let place = 1; place <= mostCanaries + 1; place += 1) {
    const isNamed = `{ ${part(place)},field(2,:),field(-1,-),strcmp(txn.wish) eq 0 }`;
    lines.push(`    http-request set-var(txn.pick) ${part(place)} if ${named} ${isNamed}`);
  }
  return lines;
}

function renderBackend(backend: number, placed: PlacedSet | undefined, slotsEach: number): string[] {
  const lines = [`backend b${backend} from pool`, "    http-request lua.hold if { nbsrv eq 0 }"];
  let free = 1;
  const freeUpTo = (last: number): void => {
    if (free <= last) lines.push(`    server-template s ${free}-${last} 127.0.0.1:1 disabled`);
  };
  for (const slot of placed?.slots ?? []) {
    freeUpTo(slot.slot - 1);
    lines.push(`    server s${slot.slot} ${slot.address}:${slot.port}${slot.out ? " disabled" : ""}`);
    free = slot.slot + 1;
  }
  freeUpTo(slotsEach);
  return lines;
}
