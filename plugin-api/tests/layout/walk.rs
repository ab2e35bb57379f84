//! The types that both sides of the border see, as text.

use abi_stable::StableAbi;
use abi_stable::type_layout::{TLData, TLField, TLFields, TLFunction, TypeLayout};
use plugin_api::PluginMod_Ref;
use std::collections::{BTreeMap, BTreeSet};

/// Types of other crates by what says what they are; what a type is, and what is in it, one line each.
pub type Blocks = BTreeMap<String, Vec<String>>;

/// Generic types of the border's crates, which do not tell their parameters: their fields do.
const GENERIC: [&str; 14] = [
    "BorrowingFfiFuture",
    "FfiPoll",
    "LocalBorrowingFfiFuture",
    "RArc",
    "RBox",
    "RMut",
    "RObject",
    "RObjectVtable",
    "ROption",
    "RRef",
    "RResult",
    "RSlice",
    "RVec",
    "Tuple2",
];

/// All types that can be reached from the root module.
pub fn present() -> Blocks {
    let mut walk = Walk::default();
    walk.visit(<PluginMod_Ref as StableAbi>::LAYOUT);
    walk.blocks
}

#[derive(Default)]
struct Walk {
    seen: BTreeSet<usize>,
    blocks: Blocks,
}

impl Walk {
    fn visit(&mut self, layout: &'static TypeLayout) {
        if !self.seen.insert(std::ptr::from_ref(layout).addr()) {
            return;
        }
        let (package, version) = layout.package_and_version();
        if ["abi_stable", "async-ffi"].contains(&package.as_str()) {
            let foreign = format!("crate {package} {version}");
            self.blocks.insert(foreign, Vec::new());
        }
        self.add(layout);
        for nested in layout.shared_vars().type_layouts() {
            self.visit(nested());
        }
        if let Some(checks) = layout.extra_checks() {
            for nested in checks.nested_type_layouts().iter() {
                self.visit(nested);
            }
        }
    }

    fn add(&mut self, layout: &'static TypeLayout) {
        // pointers, numbers and markers are all in their names
        if matches!(layout.data(), TLData::Primitive(_)) || is_marker(layout) {
            return;
        }
        let (head, lines) = block(layout);
        let former = self.blocks.insert(head.clone(), lines.clone());
        assert!(
            former.is_none_or(|former| former == lines),
            "two different types are called {head}: tell them apart in GENERIC"
        );
    }
}

fn is_marker(layout: &TypeLayout) -> bool {
    layout.name() == "PhantomData"
}

fn block(layout: &'static TypeLayout) -> (String, Vec<String>) {
    let mut lines = Vec::new();
    let mut each = |fields: TLFields| lines.extend(fields.iter().map(line));
    let size = format!("size {} align {}", layout.size(), layout.alignment());
    let kind = match layout.data() {
        TLData::Primitive(primitive) => format!("primitive {primitive:?}, {size}"),
        TLData::Opaque => format!("opaque, {size}"),
        TLData::Struct { fields } => {
            each(fields);
            format!("struct, {size}")
        }
        TLData::Union { fields } => {
            each(fields);
            format!("union, {size}")
        }
        TLData::Enum(variants) => {
            each(variants.fields);
            let (names, counts) = (variants.variant_names, variants.field_count);
            format!("enum {names} {:?} {counts:?}, {size}", variants.discriminants)
        }
        // a table may grow; what was in its first version must be there, what came later may be missing
        TLData::PrefixType(prefix) => {
            each(prefix.fields);
            format!("{TABLE} of {} and more", prefix.first_suffix_field)
        }
    };
    let head = format!("{}: {kind}, {:?}", name(layout), layout.repr_attr());
    (head, lines)
}

/// What a type is that may grow at its end.
pub const TABLE: &str = "table";

fn line(field: TLField) -> String {
    let functions: Vec<String> = field.function_range().iter().map(|one| function(&one)).collect();
    let lifetimes = format!("{:?}", field.lifetime_indices().as_slice());
    let kind = match functions.as_slice() {
        [] => name(field.layout()),
        // its own name says no more than that it is one
        functions => format!("{} {}", field.layout().name(), functions.join(" and ")),
    };
    match lifetimes.as_str() {
        "[]" => format!("{}: {kind}", field.name()),
        lifetimes => format!("{}: {kind} lifetimes {lifetimes}", field.name()),
    }
}

fn function(function: &TLFunction) -> String {
    let parameters: Vec<String> = function
        .param_type_layouts
        .iter()
        .map(|one| name(one()))
        .collect();
    let result = match function.return_type_layout() {
        Some(layout) => name(layout()),
        None => "()".to_owned(),
    };
    let lifetimes = format!("{:?}", function.paramret_lifetime_indices.as_slice());
    let keyword = if function.fn_qualifs.is_unsafe() {
        "unsafe fn"
    } else {
        "fn"
    };
    format!("{keyword}({}) -> {result} {lifetimes}", parameters.join(", "))
}

/// Where a type is, what it is called, and what its parameters are.
fn name(layout: &'static TypeLayout) -> String {
    let generics = layout.generics();
    let lifetimes = generics.lifetimes().map(str::to_owned);
    let types = generics.type_params().iter().map(|one| name(one()));
    let constants = generics.const_params().iter().map(|one| format!("{one:?}"));
    let told = types.chain(constants).collect::<Vec<_>>();
    let types = if told.is_empty() && GENERIC.contains(&layout.name()) {
        untold(layout)
    } else {
        told
    };
    let parameters: Vec<String> = lifetimes.chain(types).collect();
    let path = match layout.mod_path().to_string() {
        language if language == "<prelude>" => String::new(),
        path => format!("{path}::"),
    };
    let parameters = match parameters.as_slice() {
        [] => String::new(),
        parameters => format!("<{}>", parameters.join(", ")),
    };
    format!("{path}{}{parameters}", layout.name())
}

/// The types of the fields (or what the functions return), but for those that are the same with every parameter.
fn untold(layout: &'static TypeLayout) -> Vec<String> {
    let fields = layout
        .get_fields()
        .map(|fields| fields.to_vec())
        .unwrap_or_default();
    if let TLData::PrefixType(_) = layout.data() {
        // the others use these
        return fields
            .first()
            .map(|field| name(field.layout()))
            .into_iter()
            .collect();
    }
    let returned = fields
        .iter()
        .flat_map(|field| field.function_range().iter())
        .filter_map(|function| function.return_type_layout());
    let types = fields
        .iter()
        .filter(|field| !field.is_function() && !is_marker(field.layout()))
        .map(|field| name(field.layout()))
        .filter(|name| name != "usize" && !name.contains("PrefixRef<'a, abi_stable::"));
    types.chain(returned.map(|layout| name(layout()))).collect()
}
