// llama.cpp's results for a GGUF file: ids of a prompt, log-probabilities after each, and COUNT greedy ids. Prints JSON.
// Usage: node llamacpp.mjs FOLDER-WITH-node_modules FILE PROMPT COUNT
import {createRequire} from "node:module";
import {pathToFileURL} from "node:url";
import path from "node:path";

const [folder, file, prompt, count] = process.argv.slice(2);
const require = createRequire(path.join(folder, "package.json"));
const library = require.resolve("node-llama-cpp");
const {getLlama} = await import(pathToFileURL(library));
const llama = await getLlama({gpu: false, build: "never", logLevel: "error"});
const model = await llama.loadModel({modelPath: file});
const context = await model.createContext({
    contextSize: Math.min(256, model.trainContextSize), threads: 1, flashAttention: false,
    experimentalKvCacheKeyType: "F32", experimentalKvCacheValueType: "F32"
});
const sequence = context.getSequence();
const begin = model.tokens.bos;
const ids = [begin, ...model.tokenize(prompt)].filter((id, at) => !(at === 1 && id === begin));
const rows = await sequence.controlledEvaluate(ids.map((id) => [id, {generateNext: {probabilities: true, token: true, options: {temperature: 0}}}]));
const logs = rows.map(({next}) => {
    const row = new Array(model.fileInfo.metadata.llama.vocab_size).fill(null);
    for (const [id, p] of next.probabilities) row[id] = p > 0 ? Math.log(p) : null;
    return row;
});
const text = [];
let last = rows.at(-1).next.token;
while (text.length < Number(count)) {
    text.push(last);
    const [{next}] = await sequence.controlledEvaluate([[last, {generateNext: {token: true, options: {temperature: 0}}}]]);
    last = next.token;
}
process.stdout.write(JSON.stringify({release: llama.llamaCppRelease, ids, logs, text}), () => process.exit(0));
