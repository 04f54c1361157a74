/** What the native side and `lib/` agree on. */
export interface Constants {
  /** The kinds of messages that `settle` is called with. */
  kinds: Record<
    "Done" | "Rows" | "Part" | "Forms" | "Lucia" | "Database" | "Shape" | "Password" | "Notice" | "Text" | "Observed" | "Piece",
    number
  >;
  /** What is to be done with a column's values. */
  conversions: Record<"Json" | "Date" | "LocalDate" | "Float" | "Array" | "Number", number>;
  /** The upper bounds, in milliseconds, of the buckets of times. */
  bucketsMs: number[];
  /** Calls by id that are sent in one statement when few are in flight. */
  smallestBatch: number;
  /** The form of a parameter whose type is not known yet. */
  unknownForm: number;
  /** By the version of Lucia. */
  methods: Record<2 | 3, Method[]>;
}

export interface Method {
  index: number;
  name: string;
  table: "user" | "key" | "session";
  takes: "Id" | "Change" | "Row" | "UserAndKey";
  gives: "Nothing" | "Row" | "Rows" | "Pair";
}

/** `code` is missing where an argument is to blame. */
export interface Refused {
  refused: { message: string; code?: string };
}

export interface NativeAdapter {
  /** As the settings have it; several hosts are parted by commas, and have a port where it is the same. */
  server: { database: string; address: string; port: number | null };
  /** The functions among the options, each with the number that the native side knows it by. */
  functions: [handle: number, call: Function][];
  byId(areLast: boolean, method: number, form: number, areObserved: boolean, ...slotsAndIds: (number | string)[]): void;
  /** What a method that writes is with these columns of each row. */
  write(method: number, columns: string[][], declared: number[]): Send;
  deleteExpired(slot: number, time: string, isObserved: boolean): void;
  start(): void;
  /**
   * `max`, connections, idle ones, waiting calls; connections opened and lost, calls retried, statements cancelled, calls of unknown
   * outcome, that timed out at the server, that timed out before; then of waits and of uses their sum in seconds and their buckets.
   */
  load(): number[];
  password(reply: number, text: string | null, error: string | null): void;
  end(): void;
}

/** Makes one call, with the values of all rows and then the id. */
export type Send = (slot: number, isObserved: boolean, texts: (string | null)[], forms: number[]) => void;

export interface Instance {
  adapter(
    url: string | undefined,
    options: object | undefined,
    tableNames: unknown,
    moreOptions: unknown,
    variables: NodeJS.ProcessEnv,
    version: number,
  ): NativeAdapter & Partial<Refused>;
  /** A value of rows of this shape had no meaning: their statement is to be described again. */
  giveUp(shape: number): void;
  inspect(slot: number, url: string, sql: string, parameter: string, variables: NodeJS.ProcessEnv): Partial<Refused>;
}
