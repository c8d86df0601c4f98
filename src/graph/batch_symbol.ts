/**
 * The name of the batch among the dimensions of an intermediate value, in a model that gives its batch no name or a
 * fixed size: what was seen to grow with the first dimension of the inputs. `fixBatch` and its like replace it.
 */
export const BATCH_SYMBOL = "penni/batch";
