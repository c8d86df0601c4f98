/** How an operator carries channels from its inputs to its outputs (design: exact shrinking). */
export type ChannelRule = Readonly<Record<string, never>>;
