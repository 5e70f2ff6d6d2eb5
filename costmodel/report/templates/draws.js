// The joint draws of the report, drawn anew: what costmodel/cost/draws.py and costmodel/calibration/parameters.py draw
// with numpy and the standard library. `told` has the state of each parameter's generator.

const UPPER = 64n, MULTIPLIER = 0x2360ed051fc65da44385df649fccf645n;

// The generator PCG64 of numpy: 64 bits a step, of which the lower 32 are taken first where 32 are asked for.
function generator(state, increment) {
  let at = BigInt(state), rest = null;
  const add = BigInt(increment);
  const bits64 = () => {
    at = BigInt.asUintN(128, at * MULTIPLIER + add);
    const mixed = BigInt.asUintN(64, (at >> UPPER) ^ at), turn = at >> 122n;
    return BigInt.asUintN(64, (mixed >> turn) | (mixed << (UPPER - turn)));
  };
  const bits32 = () => {
    if (rest !== null) {
      const half = rest;
      rest = null;
      return half;
    }
    const all = bits64();
    rest = Number(all >> 32n);
    return Number(BigInt.asUintN(32, all));
  };
  return {bits32, share: () => Number(bits64() >> 11n) / 2 ** 53};
}

// One uniform number in each of n equal parts of (0, 1), in random order.
function uniforms({state, increment}, n) {
  const {bits32, share} = generator(state, increment), places = Array.from({length: n}, (_, k) => k);
  for (let k = n - 1; k > 0; k--) {
    const mask = 2 ** (32 - Math.clz32(k)) - 1;
    let other;
    do other = (bits32() & mask) >>> 0; while (other > k);
    [places[k], places[other]] = [places[other], places[k]];
  }
  return Float64Array.from(places, place => (place + share()) / n);
}

// Wichura (1988), algorithm AS241, as Python's NormalDist has it; its far tail begins beyond the draws.
const MIDDLE = [
  [2509.0809287301226727, 33430.575583588128105, 67265.770927008700853, 45921.953931549871457, 13731.693765509461125, 1971.5909503065514427, 133.14166789178437745, 3.387132872796366608],
  [5226.495278852854561, 28729.085735721942674, 39307.89580009271061, 21213.794301586595867, 5394.1960214247511077, 687.1870074920579083, 42.313330701600911252, 1],
];
const OUTER = [
  [7.7454501427834140764e-4, 0.0227238449892691845833, 0.24178072517745061177, 1.27045825245236838258, 3.64784832476320460504, 5.7694972214606914055, 4.6303378461565452959, 1.42343711074968357734],
  [1.05075007164441684324e-9, 5.475938084995344946e-4, 0.0151986665636164571966, 0.14810397642748007459, 0.68976733498510000455, 1.6763848301838038494, 2.05319162663775882187, 1],
];

function ratio([above, below], r) {
  const [over, under] = [above, below].map(factors => factors.reduce((sum, factor) => sum * r + factor, 0));
  return over / under;
}

function normal(u) {
  const q = u - 0.5;
  if (Math.abs(q) <= 0.425) return q * ratio(MIDDLE, 0.180625 - q * q);
  return Math.sign(q) * ratio(OUTER, Math.sqrt(-Math.log(q <= 0 ? u : 1 - u)) - 1.6);
}

function quantileOf({shape, a, b, knots}) {
  if (shape === "uniform") return u => a + (b - a) * u;
  if (shape === "loguniform") return u => a * Math.pow(b / a, u);
  if (shape === "lognormal") return u => a * Math.exp(Math.log(b) / told.z90 * normal(u));
  const logs = knots.map(Math.log), last = knots.length - 1;
  return u => {
    const place = Math.min(Math.max((u - told.tail) / (1 - 2 * told.tail), 0), 1) * last, k = Math.min(Math.floor(place), last - 1);
    return Math.exp(logs[k] + (place - k) * (logs[k + 1] - logs[k]));
  };
}

function drawnAnew(parameter) {
  const values = uniforms(parameter, told.n).map(quantileOf(parameter));
  if (!(Math.abs(values[told.n - 1] / parameter.last - 1) < 1e-9)) throw new Error("other draws than those of the report");
  return values;
}
