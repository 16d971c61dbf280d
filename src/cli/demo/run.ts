import { join } from "node:path";
import { OperatorError } from "../../errors/operator-error.ts";
import { defaultStateDir } from "../../model/places.ts";
import { formatDuration } from "../../model/quantities.ts";
import { drift, tamper } from "./attacks.ts";
import { openPlace } from "./place.ts";
import { createProduct } from "./product.ts";
import { createProject, describeTimes } from "./project.ts";
import { commit, goBack, refuse, replace, takeBack, type Stage } from "./rollouts.ts";
import { renderRows, type DemoResult, type Row } from "./rows.ts";
import type { Screen } from "./screen.ts";
import { startTraffic, trafficText, type Traffic } from "./traffic.ts";

const root = join(import.meta.dirname, "../../..");
const launcher = join(root, "bronze");
const instances = 4;

export interface DemoOptions {
  readonly stateDir?: string;
  readonly signal: AbortSignal;
}

/**
 * The whole demo. It ends with everything taken down, also when it fails or is interrupted.
 *
 * @returns what was measured; the screen knows which promises did not hold
 * @throws {OperatorError} `PROMISE_BROKEN` when it could not go on
 */
export async function runDemo(screen: Screen, options: DemoOptions): Promise<DemoResult> {
  const place = await openPlace(launcher, `${options.stateDir ?? defaultStateDir}-demo`);
  const product = createProduct(launcher, place, screen, options.signal);
  const stage: Stage = { screen, product, project: place.project, instances };
  let traffic: Traffic | undefined;
  try {
    screen.line(
      screen.paint.bold(
        "Bronze: what runs is what was tested, a deploy loses no request, going back takes milliseconds.",
      ),
    );
    screen.note(`project ${place.project}, state ${place.places.state}: the demo's own`);
    screen.note(describeTimes());
    await createProject(join(root, "examples/demo-app"), place.project);

    screen.act(`Version 1: built from source, ${instances} instances go live`);
    await commit(stage, 1);
    const first = await product.bronze("up", "--http-host", "127.0.0.1", "--http-port", "0");
    if (first.status !== 0)
      throw new OperatorError("PROMISE_BROKEN", "Cannot show the demo: its first version did not go live", {
        hint: "what `bronze up` said stands above; `bronze doctor` tells what this machine lacks",
      });
    screen.promise(true, `${instances} instances answer after ${formatDuration(first.elapsedMs)}, build included`);

    traffic = await startTraffic(await product.address(), join(place.places.log, "instances"));
    screen.note(`from now on: ${trafficText}`);
    const rows: Row[] = [];
    screen.act("Version 2 replaces it under load");
    rows.push(await replace(stage, traffic));
    screen.act("Version 3 never becomes healthy");
    rows.push(await refuse(stage, traffic));
    screen.act("Version 4 passes its health check, then fails under traffic");
    rows.push(await takeBack(stage, traffic));
    screen.act("Rollback: back to version 1");
    rows.push(await goBack(stage, traffic));
    const rest = await traffic.stop();
    screen.promise(rest.failed === 0, "nor did one fail afterwards");

    screen.act("Drift: a second process in an instance");
    const driftResult = await drift(stage);
    screen.act("Three attempts to tamper");
    const tampers = await tamper(stage, place.places);

    screen.line();
    for (const line of renderRows(rows)) screen.note(line);
    return { rollouts: rows, drift: driftResult, tamper: tampers };
  } finally {
    traffic?.kill();
    screen.act("Everything is taken down");
    await place.clear();
    screen.note(`nothing is left but the Debian base, for the next run (${place.places.state})`);
  }
}

/** Says how it went. @throws {OperatorError} `PROMISE_BROKEN` when a promise did not hold */
export function conclude(screen: Screen): void {
  const broken = screen.broken();
  screen.line();
  if (broken.length > 0) {
    throw new OperatorError(
      "PROMISE_BROKEN",
      `Cannot call the demo a success: ${broken.length} of its promises did not hold: ${broken.join("; ")}`,
      {
        hint: "run it again on a machine with less to do; if it comes back, report it with what stands above",
      },
    );
  }
  screen.line(
    `${screen.paint.good("Every promise held.")} ${formatDuration(screen.elapsedMs())} in all. Now your own app: \`bronze init\`, then \`bronze up\`.`,
  );
  screen.line(`To have \`bronze\` on the PATH:  ln -s ${launcher} /usr/local/bin/bronze`);
}
