/** Longest time that requests wait for a set of which nothing is up, counted from when its last instance went, in s. */
const mostS = 10;
const lookMs = 50;

/**
 * A request whose set has no instance up waits for one: after a reboot, or when all of them ended at once. Once the set
 * has been without any for 10 s, requests are refused at once, so that they do not pile up before an app that is broken.
 * Costs nothing while an instance is up: the configuration asks first.
 *
 * @see HAProxy Lua architecture and first steps; tune.lua.session-timeout does not count sleeping
 */
export const holdScript = `-- Written by bronze at each start; edits are lost.
core.register_action("hold", { "http-req" }, function(txn)
  local name = txn.f:be_name()
  local leftMs = (${mostS} - core.backends[name]:get_stats()["lastchg"]) * 1000
  while leftMs > 0 and txn.f:nbsrv(name) == 0 do
    core.msleep(${lookMs})
    leftMs = leftMs - ${lookMs}
  end
end, 0)
`;
