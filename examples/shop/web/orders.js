/** An order in one line, as people read it. */
export function describeOrder({ item, state }) {
  return `${item}: ${state === "done" ? "sent" : "being packed"}`;
}
