import { type PackedWeights, packedKinds } from "../packing.js";
import { WEIGHT_ALIGNMENT } from "../program.js";
import {
  type Code,
  ifTrue,
  type Local,
  least,
  load,
  localAt,
  op,
  repeatWhile,
  store,
  whileTrue,
} from "./assembly.js";
import { ByteWriter } from "./bytes.js";
import { control, scalar, valueTypes } from "./instructions.js";

const locals = [
  "from",
  "levels",
  "places",
  "to",
  "end",
  "kind",
  "n",
  "a",
  "b",
  "c",
  "d",
  "e",
  "table",
  "output",
  "i",
  "last",
  "place",
  "shift",
  "byte",
  "row",
  "group",
  "begin",
] as const;

const variables = Object.fromEntries(locals.map((name, index) => [name, localAt(index)])) as Readonly<
  Record<(typeof locals)[number], Local>
>;
const { from, levels, places, to, end, kind, n, a, b, c, d, e, table, output, i, last, place } = variables;
const { shift, byte, row, group, begin } = variables;

/** f32.convert_i32_s, f32.mul, f32.reinterpret_i32 and 2^112 as a constant. */
const toFloat = scalar.fromInteger;
const MULTIPLY = 0x94;
const toTheHalf: Code = [scalar.constant, ...new ByteWriter().float32(2 ** 112).view()];

/** An unsigned LEB128 integer into a variable. */
const read = (variable: Local): Code => [
  ...variable.set(0),
  ...shift.set(0),
  ...repeatWhile(
    op("atLeast", byte.get, 128),
    byte.set(load("u8", from.get)),
    from.add(1),
    variable.set(op("or", variable.get, op("shiftLeft", op("and", byte.get, 127), shift.get))),
    shift.add(7),
  ),
];

const next = (variable: Local, bytes: number): Code => variable.add(bytes);

/** Elements are in this machine's order already. */
const raw: Code = [
  ...read(a),
  ...end.set(op("add", to.get, n.get)),
  ...whileTrue(
    op("less", to.get, end.get),
    store("u8", to.get, load("u8", from.get)),
    next(from, 1),
    next(to, 1),
  ),
];

/** The exponent is moved by a product, which is exact for small numbers too. */
const halves: Code = [
  ...end.set(op("add", to.get, op("shiftLeft", n.get, 2))),
  ...whileTrue(
    op("less", to.get, end.get),
    i.set(load("u16", from.get)),
    store("f32", to.get, [
      ...op("shiftLeft", op("and", i.get, 0x7fff), 13),
      ...[scalar.fromBits, ...toTheHalf, MULTIPLY],
    ]),
    store("i32", to.get, op("or", load("i32", to.get), op("shiftLeft", op("and", i.get, 0x8000), 16))),
    next(from, 2),
    next(to, 4),
  ),
];

/** One weight of an output. */
const weight: Code = [
  ...store("f32", to.get, [
    ...load("i8", levels.get),
    toFloat,
    ...load("f32", op("add", table.get, op("shiftLeft", output.get, 2))),
    MULTIPLY,
  ]),
  ...next(levels, 1),
  ...next(to, 4),
];

const scales: Code = [...table.set(from.get), ...from.add(op("shiftLeft", n.get, 2))];

/** a: weights of each, b: outputs in a block, c: the block's first, d: behind its last. */
const blocks: Code = [
  ...read(a),
  ...read(b),
  ...scales,
  ...c.set(0),
  ...whileTrue(
    op("less", c.get, n.get),
    d.set(least(op("add", c.get, b.get), n.get)),
    i.set(0),
    whileTrue(
      op("less", i.get, a.get),
      output.set(c.get),
      whileTrue(op("less", output.get, d.get), weight, output.add(1)),
      i.add(1),
    ),
    c.set(d.get),
  ),
];

/** a: where the next count is, b: its bytes, i: how many are left. */
const count: Code = [
  ...ifTrue(op("equal", b.get, 2), [i.set(load("u16", a.get))], [i.set(load("i32", a.get))]),
  ...a.add(b.get),
];

const runs: Code = [
  ...read(a),
  ...read(b),
  ...scales,
  ...output.set(0),
  ...whileTrue(
    op("less", output.get, n.get),
    count,
    whileTrue(i.get, weight, i.set(op("subtract", i.get, 1))),
    output.add(1),
  ),
];

/** c: bytes of a step, d: how many taps, e: a plane's size. */
const stepHead: Code = [
  ...read(c),
  ...read(d),
  ...read(e),
  ...table.set(from.get),
  ...from.add(op("shiftLeft", d.get, 2)),
  ...output.set(0),
];

/** The step to `place`; last: where the step before led to. `end` is free here. */
const step: Code = [
  ...end.set(
    op(
      "add",
      op("multiply", op("divide", place.get, d.get), e.get),
      load("i32", op("add", table.get, op("shiftLeft", op("remainder", place.get, d.get), 2))),
    ),
  ),
  ...ifTrue(
    op("equal", c.get, 2),
    [store("u16", to.get, op("subtract", end.get, last.get))],
    [store("i32", to.get, op("subtract", end.get, last.get))],
  ),
  ...to.add(c.get),
  ...last.set(end.get),
];

const gaps: Code = [
  ...read(a),
  ...read(b),
  ...stepHead,
  ...whileTrue(
    op("less", output.get, n.get),
    count,
    place.set(-1),
    last.set(0),
    whileTrue(
      i.get,
      repeatWhile(
        op("equal", byte.get, 255),
        byte.set(load("u8", places.get)),
        next(places, 1),
        place.add(byte.get),
      ),
      place.add(1),
      step,
      i.set(op("subtract", i.get, 1)),
    ),
    output.add(1),
  ),
];

/** The number of the bit of a place, among those of all outputs. */
const bit: Code = op(
  "add",
  op(
    "multiply",
    op("add", op("multiply", op("remainder", place.get, group.get), n.get), output.get),
    op("divide", row.get, group.get),
  ),
  op("divide", place.get, group.get),
);

/** a: where the next count is to be, b: its bytes, row: positions of an output. */
const bits: Code = [
  ...read(a),
  ...read(b),
  ...read(row),
  ...read(group),
  ...stepHead,
  ...whileTrue(
    op("less", output.get, n.get),
    place.set(0),
    last.set(0),
    begin.set(to.get),
    whileTrue(
      op("less", place.get, row.get),
      i.set(bit),
      ifTrue(
        op(
          "and",
          op(
            "shiftRight",
            load("u8", op("add", places.get, op("shiftRight", i.get, 3))),
            op("and", i.get, 7),
          ),
          1,
        ),
        [step],
      ),
      place.add(1),
    ),
    i.set(op("divide", op("subtract", to.get, begin.get), c.get)),
    ifTrue(op("equal", b.get, 2), [store("u16", a.get, i.get)], [store("i32", a.get, i.get)]),
    a.add(b.get),
    output.add(1),
  ),
  ...places.add(op("shiftRight", op("add", op("multiply", n.get, row.get), 7), 3)),
];

const left: Code = to.add(n.get);

const bodies: Readonly<Record<keyof typeof packedKinds, Code>> = {
  raw,
  halves,
  blocks,
  runs,
  gaps,
  bits,
  left,
};

/** The body of a function that expands packed weights, which lie at an address, to address 0. */
export function unpackFunction(address: number, packed: PackedWeights): Uint8Array {
  const all = Object.entries(bodies).map(([name, body]) =>
    ifTrue(op("equal", kind.get, packedKinds[name as keyof typeof packedKinds]), [body]),
  );
  const code: Code = [
    ...from.set(address),
    ...levels.set(address + packed.levels),
    ...places.set(address + packed.places),
    ...whileTrue(
      op("less", from.get, address + packed.levels),
      read(kind),
      read(n),
      ...all,
      to.set(op("and", op("add", to.get, WEIGHT_ALIGNMENT - 1), -WEIGHT_ALIGNMENT)),
    ),
    control.end,
  ];
  return new ByteWriter().unsigned(1).unsigned(locals.length).byte(valueTypes.i32).bytes(code).view().slice();
}
