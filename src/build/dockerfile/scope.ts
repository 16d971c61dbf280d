/**
 * The variables at one moment of a stage; of one name the later counts. A file may set thousands one by one: what looks
 * them up is made when the first of them is asked for.
 */
export class Scope {
  readonly #set: readonly (readonly [name: string, value: string])[];
  #values: ReadonlyMap<string, string> | undefined;

  constructor(set: readonly (readonly [name: string, value: string])[] = []) {
    this.#set = set;
  }

  with(name: string, value: string): Scope {
    return new Scope([...this.#set, [name, value]]);
  }

  get(name: string): string | undefined {
    return this.values().get(name);
  }

  /** All of them, in the order in which their names came first. */
  values(): ReadonlyMap<string, string> {
    return (this.#values ??= new Map(this.#set));
  }
}
