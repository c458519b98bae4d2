//! Putting a graph together.

use prost::Message;

use super::proto::{
    AttributeProto, DimensionProto, DimensionValue, GraphProto, ModelProto, NodeProto, OperatorSetIdProto,
    StringStringEntryProto, TensorProto, TensorShapeProto, TensorTypeProto, TypeProto, ValueInfoProto,
};

/// The version that opset 17 came with: ONNX Runtime 1.32 reads it (tested), and so should older ones.
const IR_VERSION: i64 = 8;
const OPSET: i64 = 17;
const ML_OPSET: i64 = 3;
const FLOAT: i32 = 1;
const INT64: i32 = 7;

/// A dimension of an input or output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dim {
    /// Always this long.
    Fixed(usize),
    /// As long as the caller likes, under a name.
    Named(&'static str),
}

/// An attribute's value.
#[derive(Debug, Clone, PartialEq)]
pub enum Attribute {
    /// A whole number.
    Int(i64),
    /// A number.
    Float(f32),
    /// A text.
    Text(String),
    /// Whole numbers.
    Ints(Vec<i64>),
    /// Numbers.
    Floats(Vec<f32>),
    /// Texts.
    Texts(Vec<String>),
}

/// A graph under construction. Nodes are added in the order they run; each method that makes a value returns its name.
#[derive(Debug, Clone, Default)]
pub struct Graph {
    graph: GraphProto,
    made: usize,
}

impl Graph {
    /// An empty graph.
    pub fn new(name: &str) -> Self {
        Self { graph: GraphProto { name: name.into(), ..GraphProto::default() }, made: 0 }
    }

    /// Declares a `float` input.
    pub fn input_f32(&mut self, name: &str, dims: &[Dim]) -> String {
        self.graph.input.push(value_info(name, FLOAT, dims));
        name.into()
    }

    /// Declares an `int64` input.
    pub fn input_i64(&mut self, name: &str, dims: &[Dim]) -> String {
        self.graph.input.push(value_info(name, INT64, dims));
        name.into()
    }

    /// Declares a `float` output; some node must be given this name with [`Graph::node_named`].
    pub fn output_f32(&mut self, name: &str, dims: &[Dim]) {
        self.graph.output.push(value_info(name, FLOAT, dims));
    }

    /// Adds `float` weights of the given shape.
    pub fn weights(&mut self, name: &str, dims: &[usize], values: &[f32]) -> String {
        let raw_data = values.iter().flat_map(|x| x.to_le_bytes()).collect();
        self.tensor(name, dims, FLOAT, raw_data)
    }

    /// Adds `int64` constants of shape `[values.len()]`.
    pub fn ints(&mut self, values: &[i64]) -> String {
        self.made += 1;
        let name = format!("const_{}", self.made);
        let raw_data = values.iter().flat_map(|x| x.to_le_bytes()).collect();
        self.tensor(&name, &[values.len()], INT64, raw_data)
    }

    fn tensor(&mut self, name: &str, dims: &[usize], data_type: i32, raw_data: Vec<u8>) -> String {
        let dims = dims.iter().map(|&d| d as i64).collect();
        self.graph.initializer.push(TensorProto { dims, data_type, name: name.into(), raw_data });
        name.into()
    }

    /// Adds a node of the default operator set with one output, whose name is made up.
    pub fn node(&mut self, op: &str, inputs: &[&str], attributes: &[(&str, Attribute)]) -> String {
        self.made += 1;
        let output = format!("{}_{}", op.to_lowercase(), self.made);
        self.node_named(op, inputs, &output, attributes);
        output
    }

    /// Adds a node of the default operator set whose one output is called `output`.
    pub fn node_named(&mut self, op: &str, inputs: &[&str], output: &str, attributes: &[(&str, Attribute)]) {
        self.push("", op, inputs, output, attributes);
    }

    /// Adds a node of `ai.onnx.ml` with one output, whose name is made up.
    pub fn ml_node(&mut self, op: &str, inputs: &[&str], attributes: &[(&str, Attribute)]) -> String {
        self.made += 1;
        let output = format!("{}_{}", op.to_lowercase(), self.made);
        self.push("ai.onnx.ml", op, inputs, &output, attributes);
        output
    }

    fn push(&mut self, domain: &str, op: &str, inputs: &[&str], output: &str, attributes: &[(&str, Attribute)]) {
        self.graph.node.push(NodeProto {
            input: inputs.iter().map(|&s| s.into()).collect(),
            output: vec![output.into()],
            name: format!("{op}:{output}"),
            op_type: op.into(),
            attribute: attributes.iter().map(|(name, value)| attribute(name, value)).collect(),
            domain: domain.into(),
        });
    }

    /// The file's bytes, with `metadata` as its properties.
    pub fn encode(self, metadata: &[(String, String)]) -> Vec<u8> {
        let opset = |domain: &str, version| OperatorSetIdProto { domain: domain.into(), version };
        let entry = |(key, value): &(String, String)| StringStringEntryProto { key: key.clone(), value: value.clone() };
        ModelProto {
            ir_version: IR_VERSION,
            producer_name: env!("CARGO_PKG_NAME").into(),
            producer_version: env!("CARGO_PKG_VERSION").into(),
            graph: Some(self.graph),
            opset_import: vec![opset("", OPSET), opset("ai.onnx.ml", ML_OPSET)],
            metadata_props: metadata.iter().map(entry).collect(),
        }
        .encode_to_vec()
    }
}

fn attribute(name: &str, value: &Attribute) -> AttributeProto {
    let mut proto = AttributeProto { name: name.into(), ..AttributeProto::default() };
    match value.clone() {
        Attribute::Float(f) => (proto.r#type, proto.f) = (1, Some(f)),
        Attribute::Int(i) => (proto.r#type, proto.i) = (2, Some(i)),
        Attribute::Text(s) => (proto.r#type, proto.s) = (3, Some(s.into_bytes())),
        Attribute::Floats(v) => (proto.r#type, proto.floats) = (6, v),
        Attribute::Ints(v) => (proto.r#type, proto.ints) = (7, v),
        Attribute::Texts(v) => (proto.r#type, proto.strings) = (8, v.into_iter().map(String::into_bytes).collect()),
    }
    proto
}

fn value_info(name: &str, elem_type: i32, dims: &[Dim]) -> ValueInfoProto {
    let dim = dims
        .iter()
        .map(|d| DimensionProto {
            value: Some(match d {
                Dim::Fixed(n) => DimensionValue::DimValue(*n as i64),
                Dim::Named(s) => DimensionValue::DimParam((*s).into()),
            }),
        })
        .collect();
    let tensor_type = Some(TensorTypeProto { elem_type, shape: Some(TensorShapeProto { dim }) });
    ValueInfoProto { name: name.into(), r#type: Some(TypeProto { tensor_type }) }
}
