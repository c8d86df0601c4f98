import { Argument, type Command, type Option } from "commander";
import { orDefault } from "../graph/at.js";
import { addExamples, type Example } from "./help.js";
import type { Terminal } from "./terminal.js";

/** What a shell completes at a place: words, or files where there are none. */
interface Completed {
  readonly flags: readonly string[];
  readonly description: string;
  /** Whether a value follows. */
  readonly takesValue: boolean;
  readonly choices: readonly string[];
}

interface CompletedCommand {
  readonly name: string;
  readonly description: string;
  readonly options: readonly Completed[];
  /** What its first argument may be, where that is not a file. */
  readonly choices: readonly string[];
}

const printers = { bash: bashScript, zsh: zshScript, fish: fishScript } as const;

type Shell = keyof typeof printers;

const shells = Object.keys(printers);

/** `penni completion`: a script that makes a shell complete commands, options and their values. */
export function addCompletionCommand(program: Command, terminal: Terminal): Command {
  const command = program
    .command("completion")
    .description("print a script with which a shell completes commands, options and values")
    .addArgument(new Argument("<shell>", "which").choices(shells))
    .action((shell: Shell) => {
      terminal.stdout.write(printers[shell](completedCommands(program)));
    });
  return addExamples(command, examples);
}

const examples: readonly Example[] = [
  {
    what: "into ~/.bashrc goes source <(penni completion bash), into ~/.zshrc:",
    words: ["completion", "zsh"],
  },
  { what: "into ~/.config/fish/completions/penni.fish:", words: ["completion", "fish"] },
];

function completedCommands(program: Command): readonly CompletedCommand[] {
  const commands = program.commands.map((command): CompletedCommand => {
    const [argument] = command.registeredArguments;
    return {
      name: command.name(),
      description: command.description(),
      options: [...command.options.map(completed), help],
      choices: orDefault(argument?.argChoices, []),
    };
  });
  const names = commands.map(({ name }) => name);
  const helping = { name: "help", description: "display help for command", options: [], choices: names };
  return [...commands, helping];
}

const help: Completed = {
  flags: ["-h", "--help"],
  description: "show this help",
  takesValue: false,
  choices: [],
};

function completed({ short, long, description, argChoices = [], required, optional }: Option): Completed {
  return {
    flags: [short, long].filter((flag) => flag !== undefined),
    description,
    takesValue: required || optional,
    choices: argChoices,
  };
}

/** In single quotes, for bash and zsh. */
const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;

const flagsOf = (options: readonly Completed[]): readonly string[] => options.flatMap(({ flags }) => flags);

/** What `penni MODEL.onnx` takes is what compress takes. */
const pattern = (name: string): string => (name === "compress" ? "compress|*.onnx" : name);

/** The cases "command:flag" of bash and zsh in which one of some words is expected. */
function choiceCases(
  commands: readonly CompletedCommand[],
  reply: (choices: readonly string[]) => string,
  files: string,
): string {
  const lines = commands.flatMap(({ name, options, choices }) => [
    ...options
      .filter((option) => option.takesValue)
      .map((option) => {
        const cases = option.flags.flatMap((flag) =>
          pattern(name)
            .split("|")
            .map((one) => `${one}:${flag}`),
        );
        return `    ${cases.join("|")}) ${option.choices.length === 0 ? files : reply(option.choices)}; return ;;`;
      }),
    ...(choices.length === 0 ? [] : [`    ${name}:${name}) ${reply(choices)}; return ;;`]),
  ]);
  return lines.join("\n");
}

function bashScript(commands: readonly CompletedCommand[]): string {
  const reply = (words: readonly string[]): string =>
    `COMPREPLY=($(compgen -W ${quoted(words.join(" "))} -- "$cur"))`;
  const names = commands.map(({ name }) => name);
  const options = commands
    .map((command) => `      ${pattern(command.name)}) ${reply(flagsOf(command.options))} ;;`)
    .join("\n");
  return `# Completion of penni for bash: source <(penni completion bash)
_penni() {
  local cur="\${COMP_WORDS[COMP_CWORD]}" prev="\${COMP_WORDS[COMP_CWORD-1]}" command="\${COMP_WORDS[1]}"
  COMPREPLY=()
  # bash takes --option=value for three words.
  if [[ "$cur" == "=" ]]; then cur=""; elif [[ "$prev" == "=" ]]; then prev="\${COMP_WORDS[COMP_CWORD-2]}"; fi
  if [[ "$COMP_CWORD" -eq 1 ]]; then
    ${reply([...names, "--help", "--version"])}
    return
  fi
  case "$command:$prev" in
${choiceCases(commands, reply, ":")}
  esac
  # Where nothing is proposed, bash completes files.
  if [[ "$cur" == -* ]]; then
    case "$command" in
${options}
    esac
  fi
}
complete -o default -F _penni penni
`;
}

function zshScript(commands: readonly CompletedCommand[]): string {
  const described = (word: string, description: string): string =>
    quoted(`${word.replaceAll(":", "\\:")}:${description}`);
  const options = commands.map(({ name, options: own }) => {
    const items = own.flatMap(({ flags, description }) => flags.map((flag) => described(flag, description)));
    return `    ${pattern(name)}) options=(${items.join(" ")}) ;;`;
  });
  return `#compdef penni
# Completion of penni for zsh: source <(penni completion zsh)
_penni() {
  local -a commands options
  local command="\${words[2]}"
  if (( CURRENT == 2 )); then
    commands=(${commands.map(({ name, description }) => described(name, description)).join(" ")})
    _describe command commands
    _files -g '*.onnx'
    return
  fi
  case "$command:\${words[CURRENT-1]}" in
${choiceCases(commands, (choices) => `compadd -- ${choices.map(quoted).join(" ")}`, "_files")}
  esac
  case "$command" in
${options.join("\n")}
  esac
  if [[ "\${words[CURRENT]}" == -* ]]; then _describe option options; else _files; fi
}
if [[ "\${funcstack[1]}" == _penni ]]; then _penni "$@"; else compdef _penni penni; fi
`;
}

function fishScript(commands: readonly CompletedCommand[]): string {
  const text = (words: string): string => `'${words.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
  const lines = commands.flatMap(({ name, description, options, choices }) => {
    const within = `complete -c penni -n ${text(`__fish_seen_subcommand_from ${name}`)}`;
    return [
      `complete -c penni -n __fish_use_subcommand -a ${name} -d ${text(description)}`,
      ...(choices.length === 0 ? [] : [`${within} -f -a ${text(choices.join(" "))}`]),
      ...options.map((option) => {
        const flags = option.flags.map((flag) =>
          flag.startsWith("--") ? `-l ${flag.slice(2)}` : `-s ${flag.slice(1)}`,
        );
        const values =
          option.choices.length > 0
            ? [`-x -a ${text(option.choices.join(" "))}`]
            : option.takesValue
              ? ["-r"]
              : [];
        return [within, ...flags, ...values, `-d ${text(option.description)}`].join(" ");
      }),
    ];
  });
  return `# Completion of penni for fish: penni completion fish | source\n${lines.join("\n")}\n`;
}
