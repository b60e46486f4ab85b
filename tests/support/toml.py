"""Just enough TOML to write a configuration from a dict."""


def dumps(config):
    lines = []
    _table(config, (), lines)
    return "\n".join(lines) + "\n"


def _table(table, path, lines):
    later = []
    for key, value in table.items():
        if isinstance(value, dict) or isinstance(value, list) and value and all(isinstance(v, dict) for v in value):
            later.append((key, value))
        else:
            lines.append(f"{_key(key)} = {_value(value)}")
    for key, value in later:
        name = path + (_key(key),)
        if isinstance(value, dict):
            lines.append(f"\n[{'.'.join(name)}]")
            _table(value, name, lines)
        else:
            for item in value:
                lines.append(f"\n[[{'.'.join(name)}]]")
                _table(item, name, lines)


def _key(key):
    return key if key.replace("_", "").replace("-", "").isalnum() and key.isascii() else _value(key)


def _value(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, list):
        return "[" + ", ".join(_value(item) for item in value) + "]"
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{_key(k)} = {_value(v)}" for k, v in value.items()) + " }"
    escaped = "".join(
        {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t"}.get(c) or (f"\\u{ord(c):04x}" if ord(c) < 32 else c)
        for c in str(value)
    )
    return f'"{escaped}"'
