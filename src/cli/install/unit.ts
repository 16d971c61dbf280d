import { defaultStateDir, type Places } from "../../model/places.ts";
import { daemonFlags } from "../daemon-start.ts";

/** What a unit starts; absolute paths. */
export interface UnitOptions {
  readonly node: string;
  /** The daemon's bundle. */
  readonly daemon: string;
  readonly state: string;
}

/** `bronze.service`; for a state folder of one's own `bronze-<tag>.service`. */
export function unitName({ state, tag }: Pick<Places, "state" | "tag">): string {
  return state === defaultStateDir ? "bronze.service" : `bronze-${tag}.service`;
}

/**
 * The service as systemd takes it. What the daemon started outlives its restarts (`KillMode=process`): instances, their
 * supervisors, HAProxy. It waits for the network because instances get a copy of the machine's resolvers, and for
 * firewalls because those would drop its rules. Requests, which pass HAProxy, go before other services' work. A daemon that ended with status 0 was asked to end.
 *
 * @see systemd.service(5), systemd.kill(5)
 */
export function renderUnit({ node, daemon, state }: UnitOptions): string {
  const command = [node, ...daemonFlags, daemon, "--state", state].map(quoteWord).join(" ");
  return `# Written by \`bronze install\`; run it again to have it written anew.
[Unit]
Description=Bronze (${escapeSpecifiers(state)})
Wants=network-online.target
After=network-online.target nftables.service netfilter-persistent.service ufw.service firewalld.service docker.service
RequiresMountsFor=${quotePath(state)}
StartLimitIntervalSec=0

[Service]
Type=notify
NotifyAccess=all
ExecStart=${command}
Restart=on-failure
RestartSec=1
TimeoutStartSec=5min
TimeoutStopSec=30
KillMode=process
Delegate=yes
OOMPolicy=continue
CPUWeight=1000
LimitNOFILE=65536
LimitCORE=1
TasksMax=infinity

[Install]
WantedBy=multi-user.target
`;
}

const escapeSpecifiers = (text: string): string => text.replaceAll("%", "%%");
const quotePath = (text: string): string => `"${escapeSpecifiers(text).replace(/[\\"]/g, "\\$&")}"`;
/** One word of a command line: there `$` begins a variable, too. */
const quoteWord = (text: string): string =>
  /^[\w@+=:,./-]+$/.test(text) ? text : quotePath(text).replaceAll("$", "$$$$");
