import assert from "node:assert/strict";
import { test } from "node:test";
import { type CriterionRule, criteria, criterionOf } from "../../../src/method/criteria/table.js";
import { goalNames } from "../../../src/method/goal/names.js";
import { goalOf } from "../../../src/method/goal/rules.js";
import { pruneSchema } from "../../../src/method/goal/schema.js";

/** Of each criterion a text of its option, and the rule that `config.json` holds for it. */
const rules: Readonly<Record<CriterionRule["rule"], readonly [string, CriterionRule]>> = {
  macs: ["0.4", { rule: "macs", fraction: 0.4 }],
  deviation: ["1", { rule: "deviation", factor: 1 }],
  pattern: ["2:4", { rule: "pattern", keep: 2, of: 4 }],
  filters: ["0.5", { rule: "filters", share: 0.5, by: "norm" }],
};

test("each criterion has a name of its own, which no goal has", () => {
  const names = [...criteria.map(({ name }) => name), ...goalNames];
  assert.equal(new Set(names).size, names.length);
  assert.deepEqual(criteria.map(({ name }) => name).sort(), Object.keys(rules).sort());
});

for (const { name, option } of criteria) {
  test(`${name}: what its option says is what a configuration holds, and finds its criterion again`, () => {
    const [, [text, rule]] = Object.entries(rules).find(([key]) => key === name) ?? assert.fail(name);
    assert.deepEqual(option.parse(text), rule);
    assert.deepEqual(pruneSchema.parse(JSON.parse(JSON.stringify(rule))), rule);
    assert.equal(goalOf(rule), undefined);
    const found = criterionOf(rule);
    assert.ok(option.flags.startsWith(`${found.option} <`));
    assert.match(found.description, /^\S.* (go|left|place)\b/);
    assert.equal(option.parse(""), undefined);
    assert.equal(option.parse("nonsense"), undefined);
  });
}

test("a fraction is known of a target alone, and places of a pattern alone", () => {
  const known = Object.values(rules).map(([, rule]) => {
    const { fraction, fixesPlaces } = criterionOf(rule);
    return [rule.rule, fraction, fixesPlaces];
  });
  assert.deepEqual(known, [
    ["macs", 0.4, false],
    ["deviation", undefined, false],
    ["pattern", undefined, true],
    ["filters", undefined, false],
  ]);
});

test("rules that are none are refused wherever they are read", () => {
  for (const rule of [
    {},
    { rule: "nonsense" },
    { rule: "macs", fraction: 0 },
    { rule: "macs", fraction: 1.1 },
    { rule: "deviation", factor: -1 },
    { rule: "pattern", keep: 4, of: 4 },
    { rule: "pattern", keep: 0, of: 4 },
    { rule: "pattern", keep: 1.5, of: 4 },
    { rule: "filters", share: 1, by: "norm" },
    { rule: "filters", share: 0.5, by: "mean" },
  ])
    assert.equal(pruneSchema.safeParse(rule).success, false, JSON.stringify(rule));
});
