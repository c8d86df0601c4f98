/** Pieces of text that mean something to C, Make, HTML, JavaScript, Markdown, terminals or file systems. */
export const dangerousPieces: readonly string[] = [
  ..."* / \\ ? ??/ */ /* *\\ \\* // \" ' ` % # $ < > & { } ( ) [ ] ; : - _ . ~ @ ! | ^ = +".split(" "),
  ..."\n \r \t \0 \u007f \u001b \u009b \u0085 \u2028 \u2029 \u202e \u2066 \u200f \ufeff \u00ad".split(" "),
  ..."\ud800 \udc00 \u{1f600} 网 é \u0301".split(" "),
  ...["</script>", "<!--", "-->", "]]>", "```", `$${"{x}"}`, "$(x)", "__proto__", "#include", "\\\n", " "],
];

/** Every piece, and every pair of them. */
export const dangerousTexts: readonly string[] = [
  "",
  ...dangerousPieces,
  ...dangerousPieces.flatMap((first) => dangerousPieces.map((second) => first + second)),
];

/** All characters of one byte, each alone and all together, and a text of a megabyte. */
export const plainTexts: readonly string[] = [
  ...Array.from({ length: 256 }, (_, code) => String.fromCharCode(code)),
  String.fromCharCode(...Array.from({ length: 256 }, (_, code) => code)),
  "*/".repeat(2 ** 19),
];
