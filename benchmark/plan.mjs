// From the command line to what is measured: which cells, which contenders in each, how often and for how long.
import { parseArgs } from "node:util";

import { cells, cellsNamed } from "./cells.mjs";
import { contenders } from "./contenders.mjs";
import { neededFor } from "./goals.mjs";
import { scenarios } from "./scenarios.mjs";

function takesPart({ id, scenarios: own, isLimit }, { scenario, contenders: named }) {
  const { openers } = scenarios[scenario];
  if (named) return named.includes(id);
  if (openers) return Object.hasOwn(openers, id);
  return !isLimit && (!own || own.includes(scenario));
}

/** The contenders that were asked for and can take part, each with the program that runs it. */
function takingPart(wanted) {
  const ids = contenders.map(({ id }) => id);
  const unknown = wanted?.find((id) => !ids.includes(id));
  if (unknown) throw new Error(`no contender is called ${unknown}: there are ${ids.join(", ")}`);
  return contenders.filter(({ id }) => !wanted || wanted.includes(id)).flatMap((contender) => {
    try {
      return [{ ...contender, program: contender.find() }];
    } catch (reason) {
      console.log(`without ${contender.label}: ${reason.message}`);
      return [];
    }
  });
}

export function makePlan(commandLine) {
  const { values } = parseArgs({
    args: commandLine,
    options: {
      quick: { type: "boolean", default: false },
      large: { type: "boolean", default: false },
      only: { type: "string" },
      contenders: { type: "string" },
      rounds: { type: "string" },
      seconds: { type: "string" },
    },
  });
  const present = takingPart(values.contenders?.split(","));
  const needed = values.quick ? neededFor() : undefined;
  const chosen = values.only ? cellsNamed(values.only.split(",")) : cells.filter(({ series }) => values.large || !series.large);
  const steps = chosen.filter(({ name }) => !needed || needed.has(name)).map((cell) => ({
    cell,
    contenders: present.filter((contender) =>
      takesPart(contender, cell.series) && (!needed || needed.get(cell.name).has(contender.id))),
  }));
  const rounds = Number(values.rounds ?? (values.quick ? 3 : 5));
  const seconds = Number(values.seconds ?? 0.6);
  if (!(Number.isInteger(rounds) && rounds > 0 && seconds > 0)) {
    throw new Error("--rounds takes a positive integer, --seconds a positive number");
  }
  return { steps, present, rounds, seconds, complete: !(values.quick || values.only || values.contenders) };
}
