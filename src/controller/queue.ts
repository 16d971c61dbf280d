/** Lets one piece of work after the other go on for each key, in order of arrival. */
export interface Queue {
  run<Result>(key: string, work: () => Promise<Result>): Promise<Result>;
}

export function createQueue(): Queue {
  const last = new Map<string, Promise<unknown>>();
  return {
    async run(key, work) {
      const before = last.get(key) ?? Promise.resolve();
      const done = before.then(work, work);
      last.set(key, done);
      try {
        return await done;
      } finally {
        if (last.get(key) === done) last.delete(key);
      }
    },
  };
}
