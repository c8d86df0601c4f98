import assert from "node:assert/strict";
import { type ErrorCode, PenniError } from "../../src/graph/errors.js";

/** A check for `assert.throws`: a `PenniError` of this code whose message matches. */
export function refused(code: ErrorCode, message: RegExp) {
  return (error: unknown): boolean => {
    assert.ok(error instanceof PenniError, `${error}`);
    assert.equal(error.code, code, error.message);
    assert.match(error.message, message);
    return true;
  };
}
