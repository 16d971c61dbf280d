/** A file that cannot be imported; the message says why, to follow the file's name and a colon. */
export class Unusable extends Error {}
