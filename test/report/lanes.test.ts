import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { laneCount, railRows } from "../../src/report/data/lanes.js";

test("a residual block: the stream keeps its lane, the branch has one beside it", () => {
  // input, conv1, conv2, add, output
  const rows = railRows([[], [0], [1], [2, 0], [3]]);
  assert.deepEqual(
    rows.map(({ lane }) => lane),
    [0, 1, 1, 0, 0],
  );
  assert.deepEqual(
    rows.map(({ passing }) => passing),
    [[], [0], [0], [], []],
  );
  assert.deepEqual(rows[3]?.from.toSorted(), [0, 1]);
  assert.equal(laneCount(rows), 2);
});

/** Each node reads some nodes before it. */
const networks = fc
  .array(fc.array(fc.double({ min: 0, max: 0.999, noNaN: true }), { maxLength: 3 }), { maxLength: 40 })
  .map((nodes) =>
    nodes.map((reads, row) => [...new Set(row === 0 ? [] : reads.map((at) => Math.floor(at * row)))]),
  );

test("every line of any network leads from the node that makes a value to those that read it", () => {
  fc.assert(
    fc.property(networks, (sources) => {
      const rows = railRows(sources);
      for (const [row, from] of sources.entries()) {
        for (const source of from) {
          const lane = rows[source]?.lane ?? Number.NaN;
          assert(rows[row]?.from.includes(lane));
          assert.equal(rows[source]?.isRead, true);
          // On the way nobody else takes the lane.
          for (let between = source + 1; between < row; between++) {
            assert(rows[between]?.passing.includes(lane));
            assert.notEqual(rows[between]?.lane, lane);
          }
        }
      }
    }),
  );
});
