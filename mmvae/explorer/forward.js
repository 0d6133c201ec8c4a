"use strict";
// The forward pass of a network that mmvae/explorer/graph.py has taken apart. A tensor is {shape, values}, contiguous.

function size(shape) {
  return shape.reduce((product, n) => product * n, 1);
}

function strides(shape) {
  const found = new Array(shape.length).fill(1);
  for (let i = shape.length - 2; i >= 0; i--) found[i] = found[i + 1] * shape[i + 1];
  return found;
}

// Values at (..., i, j): start + the sum of indices times `steps`.
function gather(values, shape, steps, start = 0) {
  const made = new Float32Array(size(shape)), index = new Array(shape.length).fill(0);
  let at = start;
  for (let i = 0; i < made.length; i++) {
    made[i] = values[at];
    for (let d = shape.length - 1; d >= 0; d--) {
      at += steps[d];
      if (++index[d] < shape[d]) break;
      at -= steps[d] * shape[d];
      index[d] = 0;
    }
  }
  return made;
}

function each(of) {
  return (shape, x) => x.values.map(of);
}

function broadcast(x, shape) {
  if (typeof x === "number") return () => x;
  if (x.values.length === size(shape)) return (i) => x.values[i];
  const own = strides(x.shape), ahead = shape.length - x.shape.length;
  const steps = shape.map((_, d) => (d < ahead || x.shape[d - ahead] === 1 ? 0 : own[d - ahead]));
  const values = gather(x.values, shape, steps);
  return (i) => values[i];
}

function pairwise(of) {
  return (shape, a, b) => {
    const first = broadcast(a, shape), second = broadcast(b, shape);
    return Float32Array.from({ length: size(shape) }, (_, i) => of(first(i), second(i)));
  };
}

function convolution(shape, x, weight, bias, stride, padding, dilation, transposed) {
  const [, inside, height, width] = x.shape, [, outside, tall, wide] = shape, [, , rows, columns] = weight.shape;
  const made = new Float32Array(size(shape));
  if (bias) for (let o = 0; o < outside; o++) made.fill(bias.values[o], o * tall * wide, (o + 1) * tall * wide);
  for (let c = 0; c < inside; c++) {
    for (let o = 0; o < outside; o++) {
      const kernel = (transposed ? c * outside + o : o * inside + c) * rows * columns;
      for (let r = 0; r < rows; r++) {
        for (let s = 0; s < columns; s++) {
          const w = weight.values[kernel + r * columns + s];
          // One of the two places goes over all of its image, the other is where the kernel puts it.
          for (let i = 0; i < (transposed ? height : tall); i++) {
            const k = i * stride[0] - padding[0] + r;
            if (k < 0 || k >= (transposed ? tall : height)) continue;
            const to = (o * tall + (transposed ? k : i)) * wide, from = (c * height + (transposed ? i : k)) * width;
            for (let j = 0; j < (transposed ? width : wide); j++) {
              const l = j * stride[1] - padding[1] + s;
              if (l < 0 || l >= (transposed ? wide : width)) continue;
              if (transposed) made[to + l] += w * x.values[from + j];
              else made[to + j] += w * x.values[from + l];
            }
          }
        }
      }
    }
  }
  return made;
}

const OPERATIONS = {
  same: (shape, x) => x.values,
  permute: (shape, x, dims) => gather(x.values, shape, dims.map((d) => strides(x.shape)[d])),
  slice: (shape, x, dim = 0, start = 0, end = 0, step = 1) => {
    const own = strides(x.shape);
    return gather(x.values, shape, own.map((s, d) => (d === dim ? s * step : s)), from(start ?? 0, x, dim) * own[dim]);
  },
  select: (shape, x, dim, index) => {
    const own = strides(x.shape);
    return gather(x.values, shape, own.filter((_, d) => d !== dim), from(index, x, dim) * own[dim]);
  },
  cat: (shape, parts, dim = 0) => {
    const at = dim < 0 ? dim + shape.length : dim, outer = size(shape.slice(0, at)), made = new Float32Array(size(shape));
    let place = 0;
    for (let o = 0; o < outer; o++) {
      for (const part of parts) {
        const each = part.values.length / outer;
        made.set(part.values.subarray(o * each, (o + 1) * each), place);
        place += each;
      }
    }
    return made;
  },
  addmm: (shape, bias, x, weight) => {
    const [rows, columns] = shape, inside = x.shape[1], made = new Float32Array(rows * columns);
    for (let r = 0; r < rows; r++) {
      const row = made.subarray(r * columns, (r + 1) * columns);
      if (bias) row.set(bias.values);
      for (let i = 0; i < inside; i++) {
        const value = x.values[r * inside + i];
        if (value) for (let c = 0; c < columns; c++) row[c] += value * weight.values[i * columns + c];
      }
    }
    return made;
  },
  mm: (shape, x, weight) => OPERATIONS.addmm(shape, null, x, weight),
  convolution,
  max_pool2d_with_indices: (shape, x, kernel) => {
    const [, channels, tall, wide] = shape, [, , height, width] = x.shape, made = new Float32Array(size(shape)).fill(-Infinity);
    for (let c = 0; c < channels; c++)
      for (let i = 0; i < tall * kernel[0]; i++)
        for (let j = 0; j < wide * kernel[1]; j++) {
          const to = (c * tall + Math.floor(i / kernel[0])) * wide + Math.floor(j / kernel[1]);
          made[to] = Math.max(made[to], x.values[(c * height + i) * width + j]);
        }
    return made;
  },
  _native_batch_norm_legit_no_training: (shape, x, weight, bias, mean, variance, momentum, epsilon) => {
    const channels = shape[1], each = x.values.length / channels;
    return x.values.map((value, i) => {
      const c = Math.floor(i / each);
      return ((value - mean.values[c]) / Math.sqrt(variance.values[c] + epsilon)) * weight.values[c] + bias.values[c];
    });
  },
  _softmax: (shape, x) => {
    const last = shape[shape.length - 1], made = new Float32Array(x.values.length);
    for (let at = 0; at < made.length; at += last) {
      const row = x.values.subarray(at, at + last), most = Math.max(...row), powers = row.map((v) => Math.exp(v - most));
      const total = powers.reduce((sum, v) => sum + v, 0);
      made.set(powers.map((v) => v / total), at);
    }
    return made;
  },
  sum: (shape, x, dims) => {
    const summed = new Set(dims.map((d) => (d < 0 ? d + x.shape.length : d))), made = new Float32Array(size(shape));
    const own = strides(x.shape), kept = x.shape.map((_, d) => d).filter((d) => !summed.has(d));
    const steps = strides(kept.map((d) => x.shape[d]));
    x.values.forEach((value, i) => {
      made[kept.reduce((at, d, k) => at + (Math.floor(i / own[d]) % x.shape[d]) * steps[k], 0)] += value;
    });
    return made;
  },
  relu: each((x) => Math.max(x, 0)),
  sigmoid: each((x) => 1 / (1 + Math.exp(-x))),
  tanh: each(Math.tanh),
  exp: each(Math.exp),
  sqrt: each(Math.sqrt),
  log: each(Math.log),
  neg: each((x) => -x),
  reciprocal: each((x) => 1 / x),
  clamp: (shape, x, low, high) => x.values.map((v) => Math.min(Math.max(v, low ?? -Infinity), high ?? Infinity)),
  add: pairwise((a, b) => a + b),
  sub: pairwise((a, b) => a - b),
  mul: pairwise((a, b) => a * b),
  div: pairwise((a, b) => a / b),
  pow: pairwise(Math.pow),
};

function from(index, x, dim) {
  return index < 0 ? index + x.shape[dim] : index;
}

function halves(bits) {
  const sign = bits & 0x8000 ? -1 : 1, exponent = (bits >> 10) & 31, fraction = bits & 1023;
  return sign * (exponent ? 2 ** (exponent - 15) * (1 + fraction / 1024) : 2 ** -14 * (fraction / 1024));
}

function unpack({ shapes, values }) {
  const bytes = Uint8Array.from(atob(values), (c) => c.charCodeAt(0));
  const all = Float32Array.from(new Uint16Array(bytes.buffer), halves);
  let at = 0;
  return shapes.map((shape) => ({ shape, values: all.subarray(at, (at += size(shape))) }));
}

// The outputs, as arrays of numbers, for one input.
function forward({ steps, outputs }, constants, input) {
  const made = [];
  const given = (x) =>
    Array.isArray(x) ? x.map(given)
    : x === null || typeof x !== "object" ? x
    : "step" in x ? made[x.step]
    : constants[x.constant];
  steps.forEach(({ operation, arguments: listed, shape }, i) => {
    made.push({ shape, values: i ? OPERATIONS[operation](shape, ...listed.map(given)) : Float32Array.from(input) });
  });
  return outputs.map((i) => made[i].values);
}
