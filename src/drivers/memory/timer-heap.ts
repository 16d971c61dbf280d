/** A callback that is to come. */
export interface Timer {
  readonly atMs: number;
  /** Of two that are due at one moment the one with the smaller number comes first. */
  readonly order: number;
  readonly callback: () => void;
  /** Nothing goes on by promises after it. */
  readonly isQuiet: boolean;
  /** Its place in the heap; -1: it is in none. */
  place: number;
}

/** Timers, the next one first: a binary heap. */
export interface TimerHeap {
  add(timer: Timer): void;
  /** Takes a timer out; one that is not in it is fine. */
  remove(timer: Timer): void;
  /** Takes the next timer out that is due by then. */
  takeDue(untilMs: number): Timer | undefined;
  size(): number;
}

export function createTimerHeap(): TimerHeap {
  const heap: Timer[] = [];

  const isBefore = (a: Timer, b: Timer): boolean => a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);

  function put(timer: Timer, place: number): void {
    heap[place] = timer;
    timer.place = place;
  }

  function rise(timer: Timer, from: number): void {
    let place = from;
    while (place > 0) {
      const above = (place - 1) >> 1;
      const parent = heap[above];
      if (parent === undefined || !isBefore(timer, parent)) break;
      put(parent, place);
      place = above;
    }
    put(timer, place);
  }

  function sink(timer: Timer, from: number): void {
    let place = from;
    for (;;) {
      const left = heap[2 * place + 1];
      const right = heap[2 * place + 2];
      if (left === undefined) break;
      const child = right !== undefined && isBefore(right, left) ? right : left;
      if (!isBefore(child, timer)) break;
      const next = child.place;
      put(child, place);
      place = next;
    }
    put(timer, place);
  }

  function remove(timer: Timer): void {
    const { place } = timer;
    if (place < 0) return;
    timer.place = -1;
    const last = heap.pop();
    if (last === undefined || last === timer) return;
    rise(last, place);
    sink(last, last.place);
  }

  return {
    add: (timer) => rise(timer, heap.length),
    remove,
    takeDue(untilMs) {
      const [next] = heap;
      if (next === undefined || next.atMs > untilMs) return undefined;
      remove(next);
      return next;
    },
    size: () => heap.length,
  };
}
