; Python.
(class_definition name: (identifier) @name) @definition.class
(function_definition name: (identifier) @name) @definition.function
(call function: (identifier) @reference.call)
(call function: (attribute attribute: (identifier) @reference.call))
(identifier) @reference
