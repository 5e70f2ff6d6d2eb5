// Numbers as costmodel/numbers.py writes them; the units are those of `told`.

function significant(value, digits) {
  if (value === 0 || !Number.isFinite(value)) return value === 0 ? "0" : Number.isNaN(value) ? "nan" : value > 0 ? "inf" : "-inf";
  const rounded = evenly(value, digits), exponent = exponentOf(rounded);
  if (exponent > -6 && exponent < 6) return rounded.toFixed(Math.max(0, digits - 1 - exponent));
  const [mantissa, power] = rounded.toExponential(digits - 1).split("e");
  return `${mantissa}e${power[0]}${power.slice(1).padStart(2, "0")}`;
}

function exponentOf(value) {
  return Number(value.toExponential().split("e")[1]);
}

// A tie goes to the even digit, where toPrecision goes up.
function evenly(value, digits) {
  const [mantissa, power] = Math.abs(value).toExponential(digits + 30).split("e"), all = mantissa.replace(".", "");
  if (!/^50*$/.test(all.slice(digits))) return Number(value.toPrecision(digits));
  const kept = Number(all.slice(0, digits));
  return Math.sign(value) * Number(`${kept + kept % 2}e${Number(power) - digits + 1}`);
}

function scaleOf(value, unit) {
  const scales = told.scales[unit], own = [1, unit === "1" ? "" : unit];
  return scales ? scales.find(([factor]) => Math.abs(value) >= factor) || scales[scales.length - 1] : own;
}

function quantity(value, unit, digits = 2) {
  const [factor, name] = scaleOf(value, unit);
  return `${significant(value / factor, digits)} ${name}`.trimEnd();
}

function interval([low, median, high], unit, most = Infinity) {
  if (low === 0 && median === 0 && high === 0) return "0";
  let [factor, name] = scaleOf(high, unit);
  if (median !== 0 && Math.abs(median) < told.least_of_unit * factor) [factor, name] = scaleOf(median, unit);
  const bounded = (value, digits) => {
    const text = significant(value / factor, digits);
    return Number(text) > most ? String(most) : text;
  };
  if (low === median && median === high) return `${bounded(median, 2)} ${name}`.trimEnd();
  const digits = low <= 0 || high / low > 4 ? 1 : 2;
  return `${bounded(median, digits)} [${bounded(low, digits)}, ${bounded(high, digits)}] ${name}`.trimEnd();
}

