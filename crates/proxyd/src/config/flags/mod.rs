//! kube-proxy's command line, as it is written in thousands of manifests. Pure.
//!
//! A flag's value is the value of a configuration field, or of none. What it means is decided where
//! the fields are read, so that a file and flags cannot differ in what they accept.

use std::sync::LazyLock;

use clap::builder::{OsStr, ValueParser};
use clap::{Arg, ArgAction, ArgMatches, Command};
use serde_json::{Map, Value, json};

use super::defaults::with_port;
use super::layer::Leaf;
use super::problem::{Origin, Problem};

mod table;

use table::{FLAGS, Flag, Kind, Target};

/// The flags that were given.
#[derive(Clone, Debug, Default)]
pub struct KubeProxyFlags {
    given: Vec<Given>,
}

#[derive(Clone, Debug)]
struct Given {
    flag: &'static Flag,
    /// Every occurrence's, in order.
    values: Vec<String>,
}

impl KubeProxyFlags {
    /// `--config`.
    #[must_use]
    pub fn config(&self) -> Option<&str> {
        self.text("config")
    }

    /// `--write-config-to`.
    #[must_use]
    pub fn write_config_to(&self) -> Option<&str> {
        self.text("write-config-to")
    }

    /// `--master`.
    #[must_use]
    pub fn master(&self) -> Option<&str> {
        self.text("master")
    }

    /// `--socket`.
    #[must_use]
    pub fn socket(&self) -> Option<&str> {
        self.text("socket")
    }

    /// Whether any says where Services come from.
    #[must_use]
    pub fn names_a_source(&self) -> bool {
        ["config", "manifests", "kubeconfig", "master", "api-servers"]
            .iter()
            .any(|flag| self.text(flag).is_some())
    }

    /// The first that is not `--socket`, without its dashes.
    #[must_use]
    pub fn besides_socket(&self) -> Option<&'static str> {
        self.given.iter().map(|given| given.flag.name).find(|name| *name != "socket")
    }

    /// `--version`, unless it is false: that, or the form that is asked for.
    #[must_use]
    pub fn version(&self) -> Option<&str> {
        self.text("version").filter(|form| boolean(form) != Some(false))
    }

    /// `--cleanup`.
    #[must_use]
    pub fn cleanup(&self) -> bool {
        self.is_on("cleanup")
    }

    /// `--init-only`.
    #[must_use]
    pub fn init_only(&self) -> bool {
        self.is_on("init-only")
    }

    fn is_on(&self, name: &str) -> bool {
        self.text(name).and_then(boolean) == Some(true)
    }

    fn text(&self, name: &str) -> Option<&str> {
        let given = self.given.iter().find(|given| given.flag.name == name)?;
        given.values.last().map(String::as_str).filter(|text| !text.is_empty())
    }

    /// A warning for each flag of older kube-proxies.
    pub(super) fn removed(&self) -> impl Iterator<Item = Problem> {
        let is_removed = |given: &&Given| given.flag.target == Target::Removed;
        self.given.iter().filter(is_removed).map(|given| {
            let reason =
                "kube-proxy has no such flag any more, and fails on it; ignored, take it out";
            Problem::warning(&format!("--{}", given.flag.name), reason)
        })
    }

    /// The configuration that flags alone make.
    pub(super) fn leaves(&self, problems: &mut Vec<Problem>) -> Vec<Leaf> {
        let mut leaves = self.field_leaves(problems);
        for (given, path) in self.given.iter().filter_map(|given| match given.flag.target {
            Target::Port(path) => Some((given, path)),
            _ => None,
        }) {
            set_port(given, path, &mut leaves, problems);
        }
        leaves
    }

    /// `file` with the flags that count beside it: the node's name, those about logs, and proxyd's
    /// own. Patterns of `--vmodule` go before those of the file.
    pub(super) fn over(&self, file: Vec<Leaf>, problems: &mut Vec<Problem>) -> Vec<Leaf> {
        let mut leaves = file;
        for mut leaf in self.field_leaves(problems) {
            if leaf.path == "logging.vmodule" {
                let of_file = leaves.iter().rev().find(|of_file| of_file.path == leaf.path);
                let of_file = of_file.and_then(|of_file| of_file.value.as_array().cloned());
                if let Value::Array(items) = &mut leaf.value {
                    items.extend(of_file.unwrap_or_default());
                }
            }
            let is_own = leaf.path.starts_with("proxyd.");
            if is_own || leaf.path.starts_with("logging.") || leaf.path == "hostnameOverride" {
                leaves.push(leaf);
            } else {
                problems.push(without_effect(&leaf.origin));
            }
        }
        let is_port = |given: &&Given| matches!(given.flag.target, Target::Port(_));
        let ports = self.given.iter().filter(is_port);
        problems.extend(ports.map(|given| without_effect(&Origin::Flag(given.flag.name))));
        leaves
    }

    fn field_leaves(&self, problems: &mut Vec<Problem>) -> Vec<Leaf> {
        let mut leaves = Vec::new();
        for Given { flag, values } in &self.given {
            let Target::Field(path) = flag.target else { continue };
            let value = value(flag.kind, values).unwrap_or_else(|text| {
                let reason = match flag.kind {
                    Kind::Gates => "must be like Name=true,Other=false",
                    _ => "must be like pattern=2,other=3",
                };
                problems.push(Problem::error(&format!("--{}", flag.name), reason).with_value(text));
                Value::Null
            });
            let value = match value {
                Value::Null => continue,
                // An empty name is none: $(NODE_NAME) may be.
                Value::String(name) if path == "hostnameOverride" && name.is_empty() => continue,
                Value::String(name) if path == "hostnameOverride" && !name.trim().is_empty() => {
                    json!(name.trim().to_lowercase())
                }
                value => value,
            };
            leaves.push(Leaf { path: path.to_owned(), value, origin: Origin::Flag(flag.name) });
        }
        leaves
    }
}

fn without_effect(origin: &Origin) -> Problem {
    let name = origin.to_string();
    let name = name.strip_prefix("flag ").unwrap_or(&name);
    Problem::warning(name, "has no effect: the file of --config replaces it; set it there")
}

/// The value of a field; `Err` is the part of a text that has no form.
fn value(kind: Kind, values: &[String]) -> Result<Value, String> {
    let last = values.last().map(String::as_str).unwrap_or_default();
    let parts = || values.iter().flat_map(|text| text.split(',')).map(str::trim);
    let pairs = || {
        parts().filter(|part| !part.is_empty()).map(|part| {
            let (name, value) = part.split_once('=').ok_or_else(|| part.to_owned())?;
            Ok::<_, String>((name, value, part))
        })
    };
    // What has another form stays a text, which the field then refuses.
    Ok(match kind {
        Kind::Text | Kind::Word => json!(last),
        Kind::Bool => boolean(last).map_or_else(|| json!(last), Value::from),
        Kind::Integer => last.parse::<i64>().map_or_else(|_| json!(last), Value::from),
        Kind::Float => match last.parse::<f64>() {
            Ok(number) if number.is_finite() => json!(number),
            _ => json!(last),
        },
        Kind::List if values.iter().all(String::is_empty) => json!([]),
        Kind::List => parts().collect(),
        Kind::Gates => {
            let mut gates = Map::new();
            for pair in pairs() {
                let (name, value, part) = pair?;
                gates.insert(name.to_owned(), boolean(value).ok_or(part)?.into());
            }
            Value::Object(gates)
        }
        Kind::Patterns => {
            let mut patterns = Vec::new();
            for pair in pairs() {
                let (pattern, value, part) = pair?;
                let verbosity = value.parse::<u32>().map_err(|_| part)?;
                patterns.push(json!({ "filePattern": pattern, "verbosity": verbosity }));
            }
            Value::Array(patterns)
        }
    })
}

/// As Go's `strconv.ParseBool`.
fn boolean(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

/// The deprecated port flags: 0 disables the server, others are the port of an address without one.
fn set_port(given: &Given, path: &str, leaves: &mut Vec<Leaf>, problems: &mut Vec<Problem>) {
    let name = given.flag.name;
    let text = given.values.last().map(String::as_str).unwrap_or_default();
    let Ok(port) = text.parse::<u16>() else {
        let reason = "must be a port from 1 to 65535, or 0 to disable the server";
        problems.push(Problem::error(&format!("--{name}"), reason).with_value(text));
        return;
    };
    let origin = Origin::Flag(name);
    let address = leaves.iter_mut().find(|leaf| leaf.path == path);
    if port == 0 {
        leaves.retain(|leaf| leaf.path != path);
        leaves.push(Leaf { path: path.to_owned(), value: json!(""), origin });
        return;
    }
    let bare = address.and_then(|leaf| {
        let with_port = with_port(leaf.value.as_str()?, port);
        (leaf.value != with_port.as_str()).then_some((leaf, with_port))
    });
    match bare {
        Some((leaf, with_port)) => leaf.value = json!(with_port),
        None => {
            let reason = "has no effect: the address has a port; give the port there";
            problems.push(Problem::warning(&format!("--{name}"), reason));
        }
    }
}

impl clap::FromArgMatches for KubeProxyFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let given = FLAGS.iter().filter_map(|flag| {
            let values = matches.get_many::<String>(flag.name)?;
            Some(Given { flag, values: values.cloned().collect() })
        });
        Ok(Self { given: given.collect() })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl clap::Args for KubeProxyFlags {
    fn augment_args(command: Command) -> Command {
        command.args(FLAGS.iter().zip(&*UNDERSCORED).map(|(flag, alias)| argument(flag, alias)))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

/// The names with underscores for dashes, which kube-proxy takes, too.
static UNDERSCORED: LazyLock<Vec<String>> =
    LazyLock::new(|| FLAGS.iter().map(|flag| flag.name.replace('-', "_")).collect());

fn argument(flag: &'static Flag, underscored: &'static str) -> Arg {
    let argument = Arg::new(flag.name)
        .long(flag.name)
        .action(ArgAction::Append)
        .value_parser(ValueParser::string())
        .hide(matches!(flag.target, Target::Removed | Target::Ignored))
        .hide_default_value(true)
        .help_heading(if flag.is_own() { "proxyd's own flags" } else { "kube-proxy's flags" })
        .help(help(flag));
    let argument = match flag.name {
        "v" => argument.short('v'),
        "hostname-override" => argument.visible_alias("node-name").alias(underscored),
        name if name != underscored => argument.alias(underscored),
        _ => argument,
    };
    let optional = |argument: Arg, name: &'static str| {
        argument
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value(OsStr::from("true"))
            .value_name(name)
    };
    match flag.kind {
        Kind::Bool => optional(argument, "BOOL"),
        Kind::Word => optional(argument, "WORD"),
        kind => argument.num_args(1).allow_hyphen_values(true).value_name(match kind {
            Kind::Integer | Kind::Float => "NUMBER",
            Kind::List => "LIST",
            Kind::Gates => "NAME=BOOL,..",
            Kind::Patterns => "PATTERN=NUMBER,..",
            _ => "TEXT",
        }),
    }
}

/// The flag for the field at a path, and what it says of itself if that is more than the path.
#[cfg(test)]
pub(super) fn about(path: &str) -> Option<(String, String)> {
    let is_it = |flag: &&Flag| matches!(flag.target, Target::Field(of) if of == path);
    let flag = FLAGS.iter().find(is_it)?;
    let dashes = if flag.name.len() == 1 { "-" } else { "--" };
    let help = help(flag);
    let help = if help == format!("Sets {path}") { String::new() } else { help };
    Some((format!("{dashes}{}", flag.name), help))
}

fn help(flag: &Flag) -> String {
    match (flag.name, flag.target) {
        ("config", _) => {
            "File with a KubeProxyConfiguration, in YAML or JSON; it replaces all flags \
                          but --hostname-override, those about logs, and proxyd's own"
                .to_owned()
        }
        ("write-config-to", _) => "Write the effective configuration there and exit".to_owned(),
        ("cleanup", _) => "As proxyd cleanup".to_owned(),
        ("init-only", _) => {
            "Load modules and set sysctls, then exit: what needs privileges besides NET_ADMIN"
                .to_owned()
        }
        ("version", _) => "Print the version and exit".to_owned(),
        ("hostname-override", _) => {
            "Name of this node, as endpoints and its Node object spell it; default: the host's"
                .to_owned()
        }
        ("manifests", _) => {
            "Directory with Services, EndpointSlices and Nodes as .yaml, .yml or .json files, read \
             in place of an API server and followed"
                .to_owned()
        }
        ("any-mode", _) => {
            "Serve with IPVS even if the configuration names another mode, or none".to_owned()
        }
        ("api-servers", _) => {
            "Other API servers of the cluster, as URLs, asked in turn when one does not answer"
                .to_owned()
        }
        ("watch-nodes", _) => {
            "Whether to know this node's Node only, `own`, or `all`, so that no other node's \
             address is taken from it by a Service's external address; costs API servers the \
             changes of every Node, for every node"
                .to_owned()
        }
        ("page", _) => {
            "Who may look at Services, servers and connections in a browser, at /page of the metrics \
             server: `none`, `loopback` for this node, or `all`, which is everybody who reaches \
             that server"
                .to_owned()
        }
        ("node-ip", _) => {
            "Source address of the node's own connections to Services, one a family; default: the \
             Node object's that an interface has, else an interface's"
                .to_owned()
        }
        ("input-policy", _) => {
            "On a node whose INPUT policy is DROP: `accept` what is for Services all the same, \
             unless a rule of the node's decides, or `respect` it"
                .to_owned()
        }
        ("binding", _) => {
            "How addresses of Services are made local: by `route`, or as `address` on kube-ipvs0, \
             as kube-proxy does"
                .to_owned()
        }
        ("drain-limit", _) => {
            "A terminating endpoint is taken out after this long even with connections".to_owned()
        }
        ("drain-grace", _) => "The same for an endpoint that is gone".to_owned(),
        ("socket", _) => {
            "Unix socket where the daemon answers `proxyd status` and the like, root only; empty \
             for none"
                .to_owned()
        }
        ("master", _) => "The API server, in place of the kubeconfig's".to_owned(),
        (_, Target::Field(path)) => format!("Sets {path}"),
        (_, Target::Port(path)) => format!("Port for {path} if that has none; 0 disables"),
        (_, Target::Action) => "An action of the daemon; no part of the configuration".to_owned(),
        (_, Target::Ignored | Target::Removed) => "Has no effect".to_owned(),
    }
}
