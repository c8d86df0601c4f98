import {
  type ChannelContext,
  type ChannelFlow,
  type ChannelRule,
  firstConstants,
  identityPairs,
  laneConstant,
  wall,
} from "../core/channels.js";

/**
 * The constant that a lane holds after the operator, given the constant it holds before (undefined: not a
 * constant); undefined where the result varies.
 */
export type LaneFunction = (x: number | undefined, context: ChannelContext) => number | undefined;

/** A constant stays the same constant: Identity, MaxPool, Transpose of spatial axes, ... */
export const sameConstant: LaneFunction = (x) => x;

/** A function of the number alone. */
export function ofConstant(apply: (x: number, context: ChannelContext) => number | undefined): LaneFunction {
  return (x, context) => (x === undefined ? undefined : apply(x, context));
}

export interface LaneWiseOptions {
  /** The constant rule; by default constants are lost. */
  readonly constant?: LaneFunction;
  /** Why this node is not lane-wise, if it is not. */
  readonly unless?: (context: ChannelContext) => string | undefined;
}

/**
 * Rule of operators whose output lane j depends on lane j of input 0 alone and whose other inputs do not
 * depend on the number of lanes: activations, pooling, spatial reductions, ...
 */
export function laneWise({ constant, unless }: LaneWiseOptions = {}): ChannelRule {
  return (context) => {
    const { lanes, outputLanes, node } = context;
    const [channels] = lanes;
    if (channels === undefined) return wall("the number of input channels is not known");
    const reason = unless?.(context);
    if (reason !== undefined) return wall(reason);
    if (outputLanes.some((count, port) => node.outputs[port] !== "" && count !== channels)) {
      return wall("the output has other channels than the input");
    }
    return laneWiseFlow(context, channels, constant);
  };
}

function laneWiseFlow(
  context: ChannelContext,
  channels: number,
  constant: LaneFunction = () => undefined,
): ChannelFlow {
  const { node, inputs, outputs } = context;
  const after = firstConstants(context).map((x) => laneConstant(constant(x, context)));
  return {
    ties: node.outputs.map((_, output) => ({ input: 0, output, pairs: identityPairs(channels) })),
    carried: [0],
    constants: outputs.map((type) => (type?.elementType === inputs[0]?.elementType ? after : undefined)),
    rewrite: () => [node],
  };
}

/** Rule of activations: y = f(x) element by element, evaluated in float64 and rounded to float32. */
export function activation(apply: (x: number, context: ChannelContext) => number | undefined): ChannelRule {
  return laneWise({ constant: ofConstant(apply) });
}
