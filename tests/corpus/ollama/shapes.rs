// Rust types as programs have them, and a macro that is given each with its name. Included where it is used.

#[derive(Debug, Deserialize, JsonSchema)]
struct Unit;
#[derive(Debug, Deserialize, JsonSchema)]
struct New(String);
#[derive(Debug, Deserialize, JsonSchema)]
struct Pair(u8, bool);
#[derive(Debug, Deserialize, JsonSchema)]
struct P {
    x: f32,
    y: f64,
}
#[derive(Debug, Deserialize, JsonSchema)]
struct Opt {
    a: Option<String>,
    b: Option<u32>,
    c: Option<P>,
}
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Deny {
    a: String,
}
#[derive(Debug, Deserialize, JsonSchema)]
enum Ext {
    A,
    B(u8),
    C { x: u8 },
    D(u8, String),
}
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(tag = "kind")]
enum Tagged {
    Circle { r: f64 },
    Square { side: f64 },
    None,
}
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(tag = "t", content = "c")]
enum Adj {
    A(u8),
    B(String),
}
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
enum Unt {
    N(u32),
    S(String),
    L(Vec<u32>),
}
#[derive(Debug, Deserialize, JsonSchema)]
struct Flat {
    a: String,
    #[serde(flatten)]
    p: P,
}
#[derive(Debug, Deserialize, JsonSchema)]
struct FlatMap {
    a: String,
    #[serde(flatten)]
    rest: BTreeMap<String, u32>,
}
#[derive(Debug, Deserialize, JsonSchema)]
struct Tree {
    v: u8,
    kids: Vec<Self>,
}
#[derive(Debug, Deserialize, JsonSchema)]
struct Expr {
    op: String,
    left: Option<Box<Self>>,
}
#[derive(Debug, Deserialize, JsonSchema)]
struct Lim {
    #[schemars(range(min = 18, max = 99))]
    age: u8,
    #[schemars(length(min = 2, max = 8))]
    name: String,
    #[schemars(length(min = 1, max = 3))]
    tags: Vec<String>,
    #[schemars(regex(pattern = r"^[A-Z]{2}[0-9]{3}$"))]
    code: String,
}
#[derive(Debug, Deserialize, JsonSchema)]
struct Digits {
    #[schemars(regex(pattern = r"^\d{4}-\d{2}$"))]
    ym: String,
}
#[derive(Debug, Deserialize, JsonSchema)]
struct Loose {
    #[schemars(regex(pattern = r"[0-9]+"))]
    has: String,
}
#[derive(Debug, Deserialize, JsonSchema)]
struct Email {
    #[schemars(email)]
    mail: String,
    #[schemars(url)]
    url: String,
}
#[derive(Debug, Deserialize, JsonSchema)]
struct Ratio {
    #[schemars(range(min = 0.0, max = 1.0))]
    score: f64,
}
#[derive(Debug, Deserialize, JsonSchema)]
struct Reason {
    /// Think first.
    reasoning: String,
    answer: u32,
}
#[derive(Debug, Deserialize, JsonSchema)]
struct Dflt {
    #[serde(default)]
    a: u32,
    #[serde(rename = "the b")]
    b: String,
}
#[derive(Debug, Deserialize, JsonSchema)]
struct Big {
    i: i64,
    u: u64,
    w: i128,
    c: char,
    d: std::time::Duration,
    ip: std::net::IpAddr,
}
#[derive(Debug, Deserialize, JsonSchema, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Color {
    Red,
    Green,
    #[serde(rename = "blau/grün")]
    Blue,
}
#[derive(Debug, Deserialize, JsonSchema)]
struct Konst {
    v: serde_json::Value,
}

macro_rules! shapes {
    ($each:ident) => {
        $each! {
            bool_ = bool,
            u8_ = u8,
            i32_ = i32,
            i64_ = i64,
            u64_ = u64,
            f64_ = f64,
            string = String,
            char_ = char,
            unit = (),
            opt = Option<u8>,
            vec = Vec<u8>,
            vecs = Vec<Vec<String>>,
            arr = [u8; 3],
            tup = (u8, String),
            tup3 = (bool, f64, Color),
            set = HashSet<Color>,
            bset = BTreeSet<u8>,
            map = HashMap<String, u8>,
            bmap = BTreeMap<String, Vec<bool>>,
            nmap = BTreeMap<u8, String>,
            color = Color,
            vcolor = Vec<Color>,
            unit_s = Unit,
            new = New,
            pair = Pair,
            opts = Opt,
            deny = Deny,
            ext = Ext,
            tagged = Tagged,
            adj = Adj,
            unt = Unt,
            flat = Flat,
            flatmap = FlatMap,
            tree = Tree,
            expr = Expr,
            lim = Lim,
            digits = Digits,
            loose = Loose,
            email = Email,
            ratio = Ratio,
            reason = Reason,
            dflt = Dflt,
            big = Big,
            value = Konst,
            res = Result<u8, String>,
        }
    };
}
