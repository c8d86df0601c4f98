export interface CheckpointTensor {
  readonly dims: readonly number[];
  readonly data: Float32Array;
}
