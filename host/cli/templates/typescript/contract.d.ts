// The world `tool-reader` of wit/ as types. JSON travels as text, and wit/*.wit says what is in it.

declare module "rookery:plugin/log@0.1.1" {
  export type Level = "trace" | "debug" | "info" | "warn" | "error";
  export function write(level: Level, message: string): void;
  export function progress(fraction: number, message: string): void;
}

declare module "rookery:plugin/config@0.1.1" {
  export function effective(project: string): string;
  export function lookup(project: string, path: string): string;
  export function patch(project: string): string;
}

declare module "rookery:plugin/results@0.1.1" {
  export class RunResults {
    status(): string;
    readYaml(file: string): string;
    readCsv(file: string, options: string): string;
    search(file: string, pattern: string, options: string): string;
    readText(file: string, offset: bigint, length: number): string;
    query(sql: string, params: string, options: string): string;
  }
  export function runs(project: string, options: string): string;
  export function open(project: string | undefined, resultsDir: string | undefined): RunResults;
}

declare module "rookery:plugin/firmware@0.1.1" {
  export class RootFilesystem {
    listDirectory(path: string, options: string): string;
    stat(path: string): string;
    read(path: string, offset: bigint, length: number): Uint8Array;
    search(pattern: string, options: string): string;
    initCandidates(): string;
  }
  export function open(project: string): RootFilesystem;
}
