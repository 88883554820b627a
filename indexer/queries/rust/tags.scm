; Rust.
(struct_item name: (type_identifier) @name) @definition.struct
(enum_item name: (type_identifier) @name) @definition.enum
(trait_item name: (type_identifier) @name) @definition.trait
(function_item name: (identifier) @name) @definition.function
(mod_item name: (identifier) @name) @definition.module
(call_expression function: (identifier) @reference.call)
(type_identifier) @reference.type
(identifier) @reference
(field_identifier) @reference
