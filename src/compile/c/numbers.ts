/** The fewest digits that a C compiler reads as exactly this float32; infinities and NaN by their names in math.h. */
export function floatLiteral(value: number): string {
  const number = Math.fround(value);
  if (Number.isNaN(number)) return "NAN";
  if (!Number.isFinite(number)) return number < 0 ? "-INFINITY" : "INFINITY";
  if (number === 0) return Object.is(number, -0) ? "-0.f" : "0.f";
  const digits = fewestDigits(number).replace(/^(-?)0\./, "$1.");
  return /[.e]/.test(digits) ? `${digits}f` : `${digits}.f`;
}

function fewestDigits(number: number): string {
  if (Number.isInteger(number) && Math.abs(number) < 1e6) return String(number);
  // Most weights need 8 or 9 digits; 9 are always enough.
  let best: number | undefined;
  for (let precision = 8; precision >= 1; precision--) {
    const fewer = Number(number.toPrecision(precision));
    if (Math.fround(fewer) !== number) break;
    best = fewer;
  }
  return String(best ?? Number(number.toPrecision(9))).replace("e+", "e");
}
