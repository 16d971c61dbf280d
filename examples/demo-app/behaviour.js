// What differs from version to version. `bronze demo` commits a new one for each release.
export const version = "1";
export const greeting = "Hello from the first version.";

/** Whether the health check is passed. */
export const healthy = () => true;

/** Whether a request is answered rightly. */
export const mayAnswer = () => true;
