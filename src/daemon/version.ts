/** The version of this tree, as `bronze --version` prints it. */
export const version = "0.1.0";
