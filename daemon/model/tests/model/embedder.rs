//! Embedding models: tiny ones with random weights against the same arithmetic on candle's tensors,
//! files that the gate must refuse, and, where there is one, a real model (`FOVEA_TEST_EMBEDDER`, a
//! folder with all-MiniLM-L6-v2).

use std::{collections::HashMap, fs, path::Path};

use candle_core::{D, Device, Tensor};
use fovea_model::{EmbedKind, EmbedModel, EmbedOptions, ModelError, embed};
use safetensors::{Dtype, tensor::TensorView};
use serde_json::{Value, json};

const DIM: usize = 64;
const HEADS: usize = 4;
const WIDE: usize = 96;
const LAYERS: usize = 2;
const POSITIONS: usize = 40;
const WORDS: [&str; 14] = [
    "[PAD]", "[UNK]", "[CLS]", "[SEP]", "parse", "http", "request", "##s", "open", "file", "(",
    ")", "retry", "socket",
];

/// Tensors by name, before they are written.
pub(crate) struct Tiny {
    tensors: HashMap<String, (Vec<usize>, Vec<f32>)>,
    config: Value,
    tokenizer: Value,
    state: u32,
}

impl Tiny {
    pub(crate) fn bert() -> Self {
        let config = json!({
            "model_type": "bert", "hidden_size": DIM, "intermediate_size": WIDE,
            "num_hidden_layers": LAYERS, "num_attention_heads": HEADS,
            "max_position_embeddings": POSITIONS, "vocab_size": WORDS.len(), "type_vocab_size": 2,
            "layer_norm_eps": 1e-12, "hidden_act": "gelu", "position_embedding_type": "absolute",
            "an_unknown_key": {"is": "ignored"}
        });
        let mut tiny = Self { tensors: HashMap::new(), config, tokenizer: tokenizer(), state: 3 };
        tiny.noise("embeddings.word_embeddings.weight", &[WORDS.len(), DIM], 1.0);
        tiny.noise("embeddings.position_embeddings.weight", &[POSITIONS, DIM], 0.3);
        tiny.noise("embeddings.token_type_embeddings.weight", &[2, DIM], 0.3);
        tiny.norm("embeddings.LayerNorm");
        for layer in 0..LAYERS {
            let name = |part: &str| format!("encoder.layer.{layer}.{part}");
            for part in ["query", "key", "value"] {
                tiny.linear(&name(&format!("attention.self.{part}")), DIM, DIM);
            }
            tiny.linear(&name("attention.output.dense"), DIM, DIM);
            tiny.norm(&name("attention.output.LayerNorm"));
            tiny.linear(&name("intermediate.dense"), WIDE, DIM);
            tiny.linear(&name("output.dense"), DIM, WIDE);
            tiny.norm(&name("output.LayerNorm"));
        }
        tiny
    }

    fn table() -> Self {
        let config = json!({"model_type": "model2vec", "normalize": true});
        let mut tiny = Self { tensors: HashMap::new(), config, tokenizer: tokenizer(), state: 5 };
        tiny.noise("embeddings", &[WORDS.len(), DIM], 1.0);
        tiny
    }

    fn noise(&mut self, name: &str, shape: &[usize], size: f32) {
        let values = (0..shape.iter().product::<usize>())
            .map(|_| {
                self.state = self.state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                ((self.state >> 8) as f32 / 8_388_608.0 - 1.0) * size
            })
            .collect();
        self.tensors.insert(name.to_owned(), (shape.to_vec(), values));
    }

    fn norm(&mut self, name: &str) {
        self.noise(&format!("{name}.weight"), &[DIM], 0.4);
        self.noise(&format!("{name}.bias"), &[DIM], 0.2);
        let weight = self.tensors.get_mut(&format!("{name}.weight")).unwrap();
        weight.1.iter_mut().for_each(|x| *x += 1.0);
    }

    fn linear(&mut self, name: &str, rows: usize, width: usize) {
        self.noise(&format!("{name}.weight"), &[rows, width], 2.0 / (width as f32).sqrt());
        self.noise(&format!("{name}.bias"), &[rows], 0.2);
    }

    fn weights(&self) -> Vec<u8> {
        let bytes: Vec<(String, Vec<usize>, Vec<u8>)> = self
            .tensors
            .iter()
            .map(|(name, (shape, values))| {
                let bytes = values.iter().flat_map(|x| x.to_le_bytes()).collect();
                (name.clone(), shape.clone(), bytes)
            })
            .collect();
        let views = bytes.iter().map(|(name, shape, bytes)| {
            (name, TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap())
        });
        safetensors::serialize(views, None).unwrap()
    }

    pub(crate) fn write(&self) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let put = |name: &str, bytes: &[u8]| fs::write(folder.path().join(name), bytes).unwrap();
        put("model.safetensors", &self.weights());
        put("config.json", self.config.to_string().as_bytes());
        put("tokenizer.json", self.tokenizer.to_string().as_bytes());
        folder
    }

    fn tensor(&self, name: &str) -> Tensor {
        let (shape, values) = &self.tensors[name];
        Tensor::from_vec(values.clone(), shape.as_slice(), &Device::Cpu).unwrap()
    }

    /// The mean of the last layer, in the plainest way.
    fn reference(&self, tokens: &[u32]) -> Vec<f32> {
        let n = tokens.len();
        let linear = |x: &Tensor, name: &str| {
            let weight = self.tensor(&format!("{name}.weight")).t().unwrap();
            let bias = self.tensor(&format!("{name}.bias"));
            x.matmul(&weight).unwrap().broadcast_add(&bias).unwrap()
        };
        let norm = |x: &Tensor, name: &str| {
            let x = x.broadcast_sub(&x.mean_keepdim(D::Minus1).unwrap()).unwrap();
            let variance = x.sqr().unwrap().mean_keepdim(D::Minus1).unwrap();
            let x = x.broadcast_div(&(variance + 1e-12).unwrap().sqrt().unwrap()).unwrap();
            let x = x.broadcast_mul(&self.tensor(&format!("{name}.weight"))).unwrap();
            x.broadcast_add(&self.tensor(&format!("{name}.bias"))).unwrap()
        };
        let ids = Tensor::from_slice(tokens, n, &Device::Cpu).unwrap();
        let words = self.tensor("embeddings.word_embeddings.weight").index_select(&ids, 0).unwrap();
        let rows = |name: &str, start: usize, len: usize| {
            self.tensor(&format!("embeddings.{name}.weight")).narrow(0, start, len).unwrap()
        };
        let x = (words + rows("position_embeddings", 0, n)).unwrap();
        let x = x.broadcast_add(&rows("token_type_embeddings", 0, 1)).unwrap();
        let mut x = norm(&x, "embeddings.LayerNorm");
        for layer in 0..LAYERS {
            let name = |part: &str| format!("encoder.layer.{layer}.{part}");
            let heads = |part: &str| {
                let y = linear(&x, &name(&format!("attention.self.{part}")));
                let y = y.reshape((n, HEADS, DIM / HEADS)).unwrap();
                y.transpose(0, 1).unwrap().contiguous().unwrap()
            };
            let (q, k, v) = (heads("query"), heads("key"), heads("value"));
            let scale = ((DIM / HEADS) as f64).sqrt();
            let scores = (q.matmul(&k.transpose(1, 2).unwrap()).unwrap() / scale).unwrap();
            let exp = scores.exp().unwrap();
            let shares = exp.broadcast_div(&exp.sum_keepdim(D::Minus1).unwrap()).unwrap();
            let y = shares.matmul(&v).unwrap().transpose(0, 1).unwrap();
            let y = y.contiguous().unwrap().reshape((n, DIM)).unwrap();
            let y = (linear(&y, &name("attention.output.dense")) + &x).unwrap();
            x = norm(&y, &name("attention.output.LayerNorm"));
            let y = linear(&x, &name("intermediate.dense")).gelu_erf().unwrap();
            let y = (linear(&y, &name("output.dense")) + &x).unwrap();
            x = norm(&y, &name("output.LayerNorm"));
        }
        unit(x.mean(0).unwrap().to_vec1().unwrap())
    }
}

/// WordPiece as BERT has it, with lower-casing and both marks around a text.
fn tokenizer() -> Value {
    let vocab: serde_json::Map<String, Value> =
        WORDS.iter().enumerate().map(|(id, word)| ((*word).to_owned(), json!(id))).collect();
    json!({
        "version": "1.0", "truncation": {"max_length": 4, "strategy": "LongestFirst", "stride": 0,
            "direction": "Right"},
        "padding": null, "added_tokens": [],
        "normalizer": {"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
            "strip_accents": null, "lowercase": true},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {"type": "TemplateProcessing",
            "single": [{"SpecialToken": {"id": "[CLS]", "type_id": 0}},
                {"Sequence": {"id": "A", "type_id": 0}},
                {"SpecialToken": {"id": "[SEP]", "type_id": 0}}],
            "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {
                "[CLS]": {"id": "[CLS]", "ids": [2], "tokens": ["[CLS]"]},
                "[SEP]": {"id": "[SEP]", "ids": [3], "tokens": ["[SEP]"]}}},
        "decoder": null,
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100, "vocab": vocab}
    })
}

fn unit(mut row: Vec<f32>) -> Vec<f32> {
    let norm = row.iter().map(|x| x * x).sum::<f32>().sqrt();
    row.iter_mut().for_each(|x| *x /= norm);
    row
}

fn cosine(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

fn open(folder: &Path) -> Result<EmbedModel, ModelError> {
    EmbedModel::open(folder, &EmbedOptions { n_threads: 2, ..EmbedOptions::default() })
}

fn refusal(folder: &Path) -> String {
    open(folder).err().expect("refused").to_string()
}

#[test]
fn a_transformer_agrees_with_the_reference() {
    let tiny = Tiny::bert();
    let folder = tiny.write();
    let mut model = open(folder.path()).unwrap();
    assert_eq!((model.info().kind, model.info().dim), (EmbedKind::Transformer, DIM));
    let long: Vec<u32> = [4, 5, 6].into_iter().cycle().take(POSITIONS - 2).collect();
    for (text, tokens) in [
        ("parse", vec![4]),
        ("parseHTTPRequests(file)", vec![4, 5, 6, 7, 10, 9, 11]),
        ("open socket, RETRY", vec![8, 13, 1, 12]),
        // Cut where the model's positions end, both marks kept.
        (&"parse_http_request ".repeat(40), long),
    ] {
        let tokens: Vec<u32> = [2].into_iter().chain(tokens).chain([3]).collect();
        let found = model.embed(&[text]).unwrap();
        let similarity = cosine(&found, &tiny.reference(&tokens));
        assert!(similarity > 0.999, "{text}: {similarity}");
        assert!((cosine(&found, &found) - 1.0).abs() < 1e-5);
    }
}

#[test]
fn texts_do_not_depend_on_their_neighbors() {
    let folder = Tiny::bert().write();
    let mut model = open(folder.path()).unwrap();
    let texts = ["open file", "", "parse http requests", "socket"];
    let together = model.embed(&texts).unwrap();
    for (text, row) in texts.iter().zip(together.chunks_exact(DIM)) {
        assert_eq!(model.embed(&[text]).unwrap(), row, "{text}");
    }
}

#[test]
fn the_identity_is_known_without_loading_and_changes_with_every_part() {
    let mut tiny = Tiny::bert();
    let id = |tiny: &Tiny, options: &EmbedOptions| {
        let folder = tiny.write();
        let identified = embed::identify(folder.path(), options).unwrap();
        let opened = EmbedModel::open(folder.path(), options).unwrap();
        assert_eq!(identified.id, opened.info().id);
        identified.id
    };
    let options = EmbedOptions::default();
    let mut ids = vec![id(&tiny, &options), id(&tiny, &EmbedOptions { max_tokens: 16, ..options })];
    tiny.tensors.get_mut("embeddings.LayerNorm.bias").unwrap().1[0] += 0.5;
    ids.push(id(&tiny, &EmbedOptions::default()));
    tiny.config["hidden_act"] = json!("relu");
    ids.push(id(&tiny, &EmbedOptions::default()));
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 4);
}

#[test]
fn a_table_is_the_mean_of_its_rows() {
    let mut tiny = Tiny::table();
    let mean = |tiny: &Tiny, rows: &[(usize, f32)]| {
        let values = &tiny.tensors["embeddings"].1;
        let sum = (0..DIM).map(|i| rows.iter().map(|(r, s)| values[r * DIM + i] * s).sum());
        unit(sum.collect())
    };
    let folder = tiny.write();
    let mut model = open(folder.path()).unwrap();
    assert_eq!(model.info().kind, EmbedKind::Table);
    let found = model.embed(&["openFile", "?"]).unwrap();
    let expected = mean(&tiny, &[(8, 1.0), (9, 1.0)]);
    assert!(cosine(&found[..DIM], &expected) > 0.9999);
    assert!(found[DIM..].iter().all(|x| *x == 0.0), "unknown words have no vector");

    tiny.tensors.insert("weights".into(), (vec![WORDS.len()], (0..14).map(|i| i as f32).collect()));
    let folder = tiny.write();
    let found = open(folder.path()).unwrap().embed(&["open file"]).unwrap();
    assert!(cosine(&found, &mean(&tiny, &[(8, 8.0), (9, 9.0)])) > 0.9999);
}

#[test]
fn files_that_do_not_fit_are_refused_by_name() {
    let check = |change: &dyn Fn(&mut Tiny), expected: &str| {
        let mut tiny = Tiny::bert();
        change(&mut tiny);
        let message = refusal(tiny.write().path());
        assert!(message.contains(expected), "{message} lacks {expected}");
    };
    let query = "encoder.layer.1.attention.self.query.weight";
    check(&|tiny| drop(tiny.tensors.remove(query)), "is missing");
    check(&|tiny| tiny.tensors.get_mut(query).unwrap().0 = vec![DIM / 2, DIM * 2], "has shape");
    check(&|tiny| tiny.tensors.get_mut(query).unwrap().1[7] = f32::NAN, "NaN or infinite");
    check(&|tiny| tiny.config["hidden_size"] = json!(60), "heads must have");
    check(&|tiny| tiny.config["num_attention_heads"] = json!(0), "heads must have");
    check(&|tiny| tiny.config["num_hidden_layers"] = json!(1_000_000), "not between");
    check(&|tiny| tiny.config["vocab_size"] = json!(u64::MAX), "not between");
    check(&|tiny| tiny.config["model_type"] = json!("mpnet"), "mpnet");
    check(&|tiny| tiny.config["hidden_act"] = json!("run(this)"), "unknown variant `run(this)`");
    check(&|tiny| tiny.config = json!([]), "config.json");
    check(&|tiny| tiny.tokenizer["model"]["vocab"]["extra"] = json!(99), "the weights end at 14");
    check(&|tiny| tiny.tokenizer = json!({"version": "1.0"}), "tokenizer.json");
}

#[test]
fn cut_and_damaged_weight_files_are_refused() {
    let tiny = Tiny::bert();
    let folder = tiny.write();
    let whole = tiny.weights();
    let path = folder.path().join("model.safetensors");
    let mut cases: Vec<Vec<u8>> =
        [0, 7, 8, 100, whole.len() / 2, whole.len() - 1].map(|n| whole[..n].to_vec()).into();
    // A header that claims to be longer than the file, and one that is no JSON.
    let mut long = whole.clone();
    long[..8].copy_from_slice(&u64::MAX.to_le_bytes());
    let mut garbled = whole.clone();
    garbled[8..40].fill(0xff);
    cases.extend([long, garbled, [whole, vec![0; 4]].concat()]);
    for (index, case) in cases.iter().enumerate() {
        fs::write(&path, case).unwrap();
        let message = refusal(folder.path());
        assert!(message.contains("not a whole safetensors file"), "case {index}: {message}");
    }
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    assert!(refusal(folder.path()).contains("not a plain file"));
}

/// Cosines of sentence pairs under all-MiniLM-L6-v2 in 32-bit arithmetic, computed apart from this
/// crate; quantized weights must stay near.
#[test]
fn the_real_model_says_what_it_says_elsewhere() {
    let Some(folder) = std::env::var_os("FOVEA_TEST_EMBEDDER") else {
        println!("skipped: FOVEA_TEST_EMBEDDER is not set");
        return;
    };
    let mut model = open(Path::new(&folder)).unwrap();
    assert_eq!(model.info().dim, 384);
    for (a, b, expected) in REAL {
        let rows = model.embed(&[a, b]).unwrap();
        let (a_row, b_row) = rows.split_at(384);
        let found = cosine(a_row, b_row);
        assert!((found - expected).abs() < 0.02, "{a} / {b}: {found}, expected {expected}");
    }
}

const REAL: [(&str, &str, f32); 3] = [
    ("open a socket", "connect to a server", 0.4667),
    ("open a socket", "bake a cake", 0.022),
    ("parse the request", "def parse_request(text): return text.split()", 0.5845),
];
