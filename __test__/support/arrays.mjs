// Arrays of the values of a type, in every shape.
import { expression, literal } from "./available.mjs";

/** Positions of values, `null` for NULL, nested; and the lower bounds, where they are not 1. */
export function arrayShapes(count) {
  if (count === 0) return [{ shape: [] }, { shape: [null] }];
  const last = count - 1;
  const all = Array.from({ length: count }, (_, index) => index);
  return [
    { shape: [] },
    { shape: [null] },
    ...all.map((index) => ({ shape: [index] })),
    { shape: [...all, last] },
    { shape: [...all, null, 0] },
    { shape: [null, null, last] },
    {
      shape: [
        [0, last, 0],
        [last, 0, last],
      ],
    },
    {
      shape: [
        [null, last],
        [0, null],
      ],
    },
    {
      shape: [
        [[0], [last]],
        [[last], [0]],
      ],
    },
    { shape: [0, last], bounds: "[5:6]" },
    { shape: [[0], [null]], bounds: "[-1:0][2:2]" },
  ];
}

/** The array as an SQL expression: a literal, or a constructor where a value has no literal. */
export function arrayExpression({ type, values }, { shape, bounds }) {
  const delimiter = type === "box" ? ";" : ",";
  const text = (part) => {
    if (Array.isArray(part)) return `{${part.map(text).join(delimiter)}}`;
    return part === null ? "NULL" : `"${values[part].replaceAll(/["\\]/g, "\\$&")}"`;
  };
  const constructed = (part) => {
    if (Array.isArray(part)) return `ARRAY[${part.map(constructed).join(", ")}]`;
    return part === null ? "NULL" : expression({ type }, values[part]);
  };
  const isText = shape.flat(3).every((part) => part === null || typeof values[part] === "string");
  return isText
    ? `${literal((bounds ? `${bounds}=` : "") + text(shape))}::${type}[]`
    : `${constructed(shape)}::${type}[]`;
}
