import { holdMark } from "./routes.ts";

/** Longest time that requests wait for a set of which nothing is up, counted from when its last instance went, in s. */
const mostS = 10;
/** Longest time that a request waits while its route says so, in s: an instance that ends may take its drain for it. */
const mostWaitS = 60;
const lookMs = 50;

/**
 * A request whose set has no instance up waits for one: after a reboot, or when all of them ended at once. Once the set
 * has been without any for 10 s, requests are refused at once, so that they do not pile up before an app that is broken.
 *
 * A request whose route says so waits too, before it is decided which set it goes to: what it goes to may be another
 * then. Neither costs anything otherwise: the configuration asks first.
 *
 * @param routes the routes map, of which the script sees every change
 * @see HAProxy Lua architecture and first steps; tune.lua.session-timeout does not count sleeping; class Map
 */
export function holdScript(routes: string): string {
  return `-- Written by bronze at each start; edits are lost.
local routes = Map.new(${JSON.stringify(routes)}, Map._beg)
core.register_action("hold", { "http-req" }, function(txn)
  local name = txn.f:be_name()
  local leftMs = (${mostS} - core.backends[name]:get_stats()["lastchg"]) * 1000
  while leftMs > 0 and txn.f:nbsrv(name) == 0 do
    core.msleep(${lookMs})
    leftMs = leftMs - ${lookMs}
  end
end, 0)
-- Up to 3.0 a boolean sample is a number here, and 0 is true in Lua.
local function is(sample) return sample == true or sample == 1 end
core.register_action("wait", { "http-req" }, function(txn)
  local host = txn:get_var("txn.host") or ""
  local path = (txn:get_var("txn.path") or "") .. "/"
  local rule = txn:get_var("txn.rule")
  local leftMs = ${mostWaitS * 1000}
  while leftMs > 0 and rule and rule:sub(-${holdMark.length}) == "${holdMark}" and not is(txn.f:stopping()) do
    core.msleep(${lookMs})
    leftMs = leftMs - ${lookMs}
    rule = routes:lookup(host .. path) or routes:lookup("*" .. path)
  end
  if rule then txn:set_var("txn.rule", rule) else txn:unset_var("txn.rule") end
end, 0)
`;
}
