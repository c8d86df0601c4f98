import { SELF_CHECK } from "../../src/graph/self_check.js";

// Imported by tests of the compiler: every program that they compile is verified, and every graph on the way.
process.env[SELF_CHECK] ??= "1";
