// How an environment is recognised: hue, shape, line and hatch together, never hue alone.

const HUES = ["blue", "green", "red", "fourth", "fifth"];
const GLYPHS = ["●", "▲", "■", "◆", "✚"];
const LINES = ["", "6 4", "2 3", "8 3 2 3", "12 4"];

/** The marks of each environment of a service, by its name; names that are hues keep their own. */
export function marks(environments) {
  const free = HUES.map((_, index) => index);
  const own = new Map();
  for (const { name } of environments) {
    const index = HUES.indexOf(name);
    if (index >= 0 && index < 3) own.set(name, free.splice(free.indexOf(index), 1)[0]);
  }
  const mark = ({ name }) => {
    const index = own.get(name) ?? free.shift() ?? HUES.length - 1;
    return [name, { hue: `var(--${HUES[index]})`, glyph: GLYPHS[index], dash: LINES[index], index }];
  };
  return Object.fromEntries(environments.map(mark));
}
