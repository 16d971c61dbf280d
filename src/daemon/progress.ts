import type { Controller } from "../controller/controller.ts";
import { describeEvent } from "../ledger/describe.ts";
import type { LedgerEvent } from "../ledger/event.ts";
import type { AppName, EnvironmentName, InstanceName } from "../model/names.ts";

/** Which environments something is about; nothing: all. */
export interface Filter {
  readonly app?: AppName | undefined;
  readonly environment?: EnvironmentName | undefined;
}

export type Progress = (line: {
  readonly atMs: number;
  readonly step: string;
  readonly text: string;
  readonly instance?: InstanceName;
}) => void;

/** Runs work and reports the events of its environment meanwhile. */
export async function withProgress<Result>(
  controller: Controller,
  filter: Filter,
  progress: Progress,
  work: () => Promise<Result>,
): Promise<Result> {
  const stop = controller.recorder.listen((event) => {
    // That a task has a process says nothing to a person who has just read that it was started.
    if (!isAbout(event, filter) || event.data.kind === "task.running") return;
    const { data, atMs } = event;
    progress({
      atMs,
      step: data.kind,
      text: describeEvent(data),
      ...("instance" in data ? { instance: data.instance } : {}),
    });
  });
  try {
    return await work();
  } finally {
    stop();
  }
}

/** Whether an event is about one of these environments. */
export function isAbout({ data }: LedgerEvent, { app, environment }: Filter): boolean {
  if (app === undefined) return true;
  return "app" in data && data.app === app && (environment === undefined || data.environment === environment);
}
