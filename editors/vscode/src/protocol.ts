/** What the server answers to its own methods; `docs/lsp-extensions.md` describes them. */
import type { Location } from "vscode-languageclient/node";

export interface SearchHit {
  readonly location: { readonly path: string };
  readonly symbol: string | null;
  readonly symbol_kind: string | null;
  readonly score: number;
  readonly parts: readonly (readonly [string, number])[];
  readonly matched: readonly string[];
  readonly text: string;
}

export interface SearchResult {
  readonly queryKind: string;
  readonly hits: readonly { readonly place: Location; readonly hit: SearchHit }[];
}

export interface Segment {
  readonly ring: string;
  readonly source: string;
  readonly path: string;
  readonly lines: readonly [number, number];
  readonly reason: string;
  readonly n_tokens: number;
  readonly text: string;
  readonly shared: readonly string[];
}

export interface Plan {
  readonly segments: readonly Segment[];
  readonly n_tokens: number;
  readonly budget_tokens: number;
  readonly gate: string;
  readonly rings: readonly { readonly ring: string; readonly n_tokens: number; readonly ms: number; readonly n_cached: number | null }[];
  readonly candidates: readonly string[];
}

export interface Suggestion {
  readonly id: number;
  readonly text: string;
  readonly source: "model" | "index" | "remote";
  readonly notice: string | null;
  readonly logprob: number | null;
  readonly timings: {
    readonly context_ms: number;
    readonly prefill_ms: number;
    readonly first_token_ms: number;
    readonly total_ms: number;
    readonly n_prompt_tokens: number;
    readonly n_reused_tokens: number;
    readonly n_generated_tokens: number;
  };
}

export interface Explanation {
  readonly plan: Plan;
  readonly suggestion: Suggestion | null;
}

export interface Status {
  readonly daemon: {
    readonly build: string;
    readonly pid: number;
    readonly rss_bytes: number;
    readonly model: { readonly name: string | null; readonly state: string; readonly hint: string | null };
  } | null;
  readonly workspaces: readonly {
    readonly root: string;
    readonly health: string;
    readonly summary: string;
    readonly n_files: number;
    readonly n_symbols: number;
    readonly warnings: readonly string[];
  }[];
  readonly error: string | null;
}
