--- Answers of the server as text for people.
local M = {}

local sources = { model = 'the model', index = 'the index alone', remote = 'the remote back end' }

--- A fence that `text` cannot close.
local function fence(text)
  local longest = 2
  for ticks in text:gmatch('`+') do
    longest = math.max(longest, #ticks)
  end
  return ('`'):rep(longest + 1)
end

local function add(lines, text)
  vim.list_extend(lines, vim.split(text, '\n', { plain = true }))
end

--- Lines for a result of `fovea/explain`.
function M.lines(result)
  local plan = result.plan or result
  local lines = { '# Why this suggestion', '' }
  local suggestion = result.suggestion
  if suggestion and suggestion ~= vim.NIL then
    local open = fence(suggestion.text)
    add(lines, open .. '\n' .. suggestion.text .. '\n' .. open)
    local timings = suggestion.timings or {}
    local source = sources[suggestion.source] or suggestion.source
    if suggestion.source == 'index' then
      add(lines, ('\nfrom %s, in %.0f ms\n'):format(source, timings.total_ms or 0))
    else
      add(lines, ('\nfrom %s, %.0f ms in all: %.0f ms context, %.0f ms prompt, %d of %d prompt tokens known from before\n'):format(
        source, timings.total_ms or 0, timings.context_ms or 0, timings.prefill_ms or 0,
        timings.n_reused_tokens or 0, timings.n_prompt_tokens or 0))
    end
    if suggestion.notice and suggestion.notice ~= vim.NIL then
      add(lines, suggestion.notice .. '\n')
    end
  end
  add(lines, ('%d of %d tokens. %s'):format(plan.n_tokens, plan.budget_tokens, plan.gate))
  add(lines, '\n| ring | tokens | ms |\n| --- | --- | --- |')
  for _, ring in ipairs(plan.rings) do
    add(lines, ('| %s | %d | %.1f |'):format(ring.ring, ring.n_tokens, ring.ms))
  end
  for _, segment in ipairs(plan.segments) do
    add(lines, ('\n## %s: %s:%d\n\n%s (%s, %d tokens)'):format(
      segment.ring, segment.path, segment.lines[1] + 1, segment.reason, segment.source, segment.n_tokens))
    if segment.shared and #segment.shared > 0 then
      add(lines, 'in the suggestion: ' .. table.concat(segment.shared, ', '))
    end
    local open = fence(segment.text)
    add(lines, open)
    add(lines, (segment.text:gsub('\n$', '')))
    add(lines, open)
  end
  return lines
end

--- A few lines for a result of `fovea/status`.
function M.status(status)
  local lines = {}
  local daemon = status.daemon
  if daemon and daemon ~= vim.NIL then
    local model = daemon.model
    table.insert(lines, ('fovea %s, process %d, %.0f MB'):format(daemon.build, daemon.pid, daemon.rss_bytes / 1e6))
    local name = model.name ~= vim.NIL and model.name or 'none'
    local hint = model.hint ~= vim.NIL and model.hint and ('; ' .. model.hint) or ''
    table.insert(lines, ('model: %s, %s%s'):format(name, model.state, hint))
  end
  for _, workspace in ipairs(status.workspaces or {}) do
    table.insert(lines, ('%s: %d files, %d symbols. %s'):format(workspace.root, workspace.n_files, workspace.n_symbols, workspace.summary))
    vim.list_extend(lines, workspace.warnings or {})
  end
  if status.error and status.error ~= vim.NIL then
    table.insert(lines, 'error: ' .. status.error)
  end
  return table.concat(lines, '\n')
end

return M
