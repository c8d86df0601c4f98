import type { CIdentifier } from "../text/destinations.js";
import type { Program } from "./program.js";
import type { Target } from "./target.js";

/** A file that a back end makes: text, or bytes as they are. */
export interface EmittedFile {
  readonly name: string;
  readonly content: string | Uint8Array;
}

/** Where the weights of a program can stand: in the code, in a source file of their own, or in a binary file. */
export const weightPlaces = ["inside", "separate", "binary"] as const;

export type WeightsPlace = (typeof weightPlaces)[number];

export interface EmitOptions {
  /** What the files are called, and what begins the names of functions. */
  readonly name: CIdentifier;
  /** One of the back end's `weightPlaces`; default: the first. */
  readonly weights?: WeightsPlace;
  /** Adds what shows the program at work: the texts of the back end's `exampleParts`, in their order. */
  readonly example?: readonly string[];
}

/**
 * What a program is printed for. Whoever compiles, measures or tests goes by what stands here and asks for no names: a
 * further target is a folder with one of these, and a line in `backends`.
 */
export interface Backend<Runs extends Execution = Execution> {
  /** Lanes and rates that programs for it are compiled with. */
  readonly target: Target;
  /** What they are compiled with where memory is asked for in which weights are made ready; absent where there is no choice. */
  readonly preparingTarget?: Target;
  /** Where its weights can stand, the default first; empty where there is no choice. */
  readonly weightPlaces: readonly WeightsPlace[];
  /** Compiled files of Penni whose text an example holds, below the folder of its sources: back ends read no files. */
  readonly exampleParts: readonly string[];
  /**
   * The files of a program that was compiled for `target`; of what has to be built first, its sources (`execution` says how).
   * @throws PenniError "bad-option" if the options do not fit the program, "unsupported" if it is too large
   */
  emit(program: Program, options: EmitOptions): readonly EmittedFile[];
  readonly execution: Runs;
}

/** How emitted programs are made to run, and so how they are measured. */
export type Execution = ModuleExecution | LinkedExecution | AddonExecution;

/** As WebAssembly, by the process itself. Nothing has to be built. */
export interface ModuleExecution {
  readonly kind: "module";
  /** A module without imports that exports `memory` and `run`. */
  module(program: Program, variant?: ModuleVariant): Uint8Array;
  /** Where a module finds its inputs and leaves its outputs. */
  ports(program: Program): {
    readonly inputs: readonly ModulePort[];
    readonly outputs: readonly ModulePort[];
  };
  /** The name under which a module exports a step. */
  stepName(index: number): string;
}

/** What a module for measurements has besides or instead. */
export interface ModuleVariant {
  /** Also exports each step of the program as a function of its own. */
  readonly exportsSteps?: boolean;
  /** Has relaxed SIMD as its own code, which not every host validates. */
  readonly isRelaxed?: boolean;
  /** Code for this process alone: no weights (the caller puts them at address 0), nothing for the loader to check. */
  readonly isBare?: boolean;
}

/** An input or output of a compiled module. */
export interface ModulePort {
  readonly name: string;
  readonly dims: readonly number[];
  readonly type: string;
  /** Address of its float32 elements in the module's memory. */
  readonly address: number;
}

/** As C, which a C compiler links with a program that calls it. */
export interface LinkedExecution {
  readonly kind: "linked";
  build(name: CIdentifier): Build;
}

/** What a C compiler is told for the fastest code of this machine: options, sources, libraries, in this order. */
export interface Build {
  readonly options: readonly string[];
  readonly sources: readonly string[];
  readonly libraries: readonly string[];
}

/** As an addon of Node: a C compiler makes one file of what is emitted before anything is written for the user. */
export interface AddonExecution {
  readonly kind: "addon";
  build(name: CIdentifier, machine: Machine): AddonBuild;
}

/** What a C compiler makes code for. */
export interface Machine {
  /** As compilers name it: "x86_64", "aarch64", or another, which gets portable code. */
  readonly processor: string;
  readonly isApple: boolean;
}

/** How an addon is made: one call of the compiler for each object, then one that links them. */
export interface AddonBuild {
  /** The addon's name. */
  readonly file: string;
  /** Emitted files that are not wanted any more once it is there. */
  readonly sources: readonly string[];
  /** What it chooses from when it is loaded, the best first. */
  readonly instructionSets: readonly string[];
  /** Options of each call; those of calls that need the headers of Node-API lack them. */
  readonly objects: readonly { readonly options: readonly string[]; readonly needsHeaders: boolean }[];
  readonly link: readonly string[];
}
