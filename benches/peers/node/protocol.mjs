// The words of ../protocol/src/lib.rs, for peers in JavaScript.
//
// A peer has `fill(count)`, `presented(number)`, `load(presented)`, `openOne()`, `isLive(token)`
// and `end(token)`, which mean what they mean there. `allows`, if a peer has it, is the number of
// seconds for which its documented default accepts a revoked session.

import { createInterface } from "node:readline";

const BATCH = 500;

// Answers the driver until it hangs up.
export async function serve(peer) {
  say(peer.allows === undefined ? "ready" : `ready ${peer.allows}`);
  let filled = 0;
  for await (const line of createInterface({ input: process.stdin })) {
    const [word, first, second] = line.split(" ");
    switch (word) {
      case "fill":
        filled = Number(first);
        await peer.fill(filled);
        await timed(peer, [...Array(filled).keys()]);
        say("filled");
        break;
      case "load": {
        const taken = await timed(peer, order(Number(first), filled, BigInt(second)));
        say(`ns ${Number(taken) / Number(first)}`);
        break;
      }
      case "open":
        say(`token ${await peer.openOne()}`);
        break;
      case "watch":
        await watch(peer, first, BigInt(second) * 1_000_000n);
        break;
      case "end":
        await peer.end(first);
        say(`ended ${now()}`);
        break;
      default:
        throw new Error(`not understood: ${line}`);
    }
  }
}

// How many nanoseconds the loads of these sessions took, which must all be live.
async function timed(peer, numbers) {
  let taken = 0n;
  for (let from = 0; from < numbers.length; from += BATCH) {
    const presented = [];
    for (const number of numbers.slice(from, from + BATCH)) {
      presented.push(await peer.presented(number));
    }
    const started = process.hrtime.bigint();
    const live = await peer.load(presented);
    taken += process.hrtime.bigint() - started;
    allLive(live, presented.length);
  }
  return taken;
}

async function watch(peer, token, limit) {
  allLive(Number(await peer.isLive(token)), 1);
  say("watching");
  const started = process.hrtime.bigint();
  let lastYes = 0n;
  while (process.hrtime.bigint() - started < limit) {
    const began = now();
    if (!(await peer.isLive(token))) return say(`stopped ${lastYes}`);
    lastYes = began;
  }
  say(`still ${lastYes}`);
}

function allLive(live, asked) {
  if (live !== asked) throw new Error(`${live} of ${asked} are live`);
}

// Uniformly random numbers below `of` (xorshift64*), the same as in ../protocol/src/lib.rs.
function order(count, of, seed) {
  const word = (number) => BigInt.asUintN(64, number);
  let state = word(seed * 0x9e3779b97f4a7c15n) | 1n;
  return Array.from({ length: count }, () => {
    state ^= state >> 12n;
    state ^= word(state << 25n);
    state ^= state >> 27n;
    return Number((word(state * 0x2545f4914f6cdd1dn) * BigInt(of)) >> 64n);
  });
}

// Nanoseconds on the clock that the processes of a host share. Only peers of one kind are compared.
function now() {
  return process.hrtime.bigint();
}

function say(line) {
  process.stdout.write(`${line}\n`);
}
