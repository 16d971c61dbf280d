/** Facts about the machine that decisions need. */
export interface Machine {
  memory(): { readonly totalBytes: number; readonly availableBytes: number };
}
