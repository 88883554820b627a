--- Ghost text with extmarks: one suggestion at the cursor, hidden as soon as it does not fit.
--- The same code serves every Neovim from 0.10 on, so accepting by word works everywhere.
local config = require('fovea.config')

local M = {}

local namespace = vim.api.nvim_create_namespace('fovea.ghost_text')

--- What is shown: { buf, row, col, text } (row and col zero-based, bytes), or nil.
local shown = nil
--- The request under way: { client, id }, or nil.
local pending = nil

local function clear(buf)
  if vim.api.nvim_buf_is_valid(buf) then
    vim.api.nvim_buf_clear_namespace(buf, namespace, 0, -1)
  end
end

function M.hide()
  if shown then
    clear(shown.buf)
    shown = nil
  end
end

local function cancel()
  if pending then
    pending.client:cancel_request(pending.id)
    pending = nil
  end
end

local function draw(buf, row, col, text)
  clear(buf)
  local lines = vim.split(text, '\n', { plain = true })
  local below = {}
  for index = 2, #lines do
    below[#below + 1] = { { lines[index], config.values.highlight } }
  end
  vim.api.nvim_buf_set_extmark(buf, namespace, row, col, {
    virt_text = { { lines[1], config.values.highlight } },
    virt_text_pos = 'inline',
    virt_lines = #below > 0 and below or nil,
    hl_mode = 'combine',
  })
  shown = { buf = buf, row = row, col = col, text = text }
end

--- Where the cursor of the current window is, zero-based.
local function cursor()
  local at = vim.api.nvim_win_get_cursor(0)
  return at[1] - 1, at[2]
end

--- The text to insert at the cursor for an item whose range may begin before it.
local function text_at_cursor(item, buf, row, col, encoding)
  local text = type(item.insertText) == 'table' and item.insertText.value or item.insertText
  if not item.range then
    return text
  end
  local line = vim.api.nvim_buf_get_lines(buf, row, row + 1, false)[1] or ''
  local start = vim.str_byteindex(line, encoding, item.range.start.character, false)
  local typed = line:sub(start + 1, col)
  if item.range.start.line == row and vim.startswith(text, typed) then
    return text:sub(#typed + 1)
  end
  return nil
end

--- Asks the server. `kind`: 'automatic' or 'invoked'.
function M.request(kind)
  cancel()
  local buf = vim.api.nvim_get_current_buf()
  local client = vim.lsp.get_clients({ name = 'fovea', bufnr = buf })[1]
  if not client then
    return
  end
  local tick = vim.api.nvim_buf_get_changedtick(buf)
  local params = vim.lsp.util.make_position_params(0, client.offset_encoding)
  params.context = { triggerKind = kind == 'invoked' and 1 or 2 }
  local sent, id = client:request('textDocument/inlineCompletion', params, function(err, result)
    pending = nil
    -- An answer to text that has changed since is never shown.
    if err or not result or tick ~= vim.api.nvim_buf_get_changedtick(buf) then
      return
    end
    if vim.api.nvim_get_current_buf() ~= buf or not vim.startswith(vim.api.nvim_get_mode().mode, 'i') then
      return
    end
    local item = (result.items or result)[1]
    local row, col = cursor()
    local text = item and text_at_cursor(item, buf, row, col, client.offset_encoding)
    M.hide()
    if text and text ~= '' then
      draw(buf, row, col, text)
    end
  end, buf)
  if sent then
    pending = { client = client, id = id }
  end
end

--- Keeps the suggestion while the user types along it; returns false if it no longer fits.
local function follow(buf)
  if not shown or shown.buf ~= buf then
    return false
  end
  local row, col = cursor()
  if row ~= shown.row or col <= shown.col then
    return false
  end
  local line = vim.api.nvim_buf_get_lines(buf, row, row + 1, false)[1] or ''
  local typed = line:sub(shown.col + 1, col)
  if not vim.startswith(shown.text, typed) or #typed >= #shown.text then
    return false
  end
  draw(buf, row, col, shown.text:sub(#typed + 1))
  return true
end

--- Inserts the suggestion, or its first word or line. Returns false if none is shown.
function M.accept(part)
  if not shown then
    return false
  end
  local row, col = cursor()
  if shown.buf ~= vim.api.nvim_get_current_buf() or row ~= shown.row or col ~= shown.col then
    M.hide()
    return false
  end
  local text = shown.text
  local taken = text
  if part == 'word' then
    taken = text:match('^%s*[%w_]+') or text:match('^%s*[^%w_%s]+') or text
  elseif part == 'line' then
    taken = text:match('^\n?[^\n]*')
  end
  local buf = shown.buf
  M.hide()
  -- Mappings with <expr> may not change text; do it right after.
  vim.schedule(function()
    local lines = vim.split(taken, '\n', { plain = true })
    vim.api.nvim_buf_set_text(buf, row, col, row, col, lines)
    local last_col = #lines == 1 and col + #taken or #lines[#lines]
    vim.api.nvim_win_set_cursor(0, { row + #lines, last_col })
    local rest = text:sub(#taken + 1)
    if rest ~= '' then
      draw(buf, row + #lines - 1, last_col, rest)
    end
  end)
  return true
end

--- Follows typing in `buf`. Attaching twice is harmless.
function M.attach(buf)
  local group = vim.api.nvim_create_augroup('fovea.ghost_text.' .. buf, { clear = true })
  local timer = assert(vim.uv.new_timer())
  vim.api.nvim_create_autocmd({ 'TextChangedI', 'CursorMovedI' }, {
    group = group,
    buffer = buf,
    callback = function()
      if shown and shown.buf == buf then
        local row, col = cursor()
        if row == shown.row and col == shown.col then
          return
        end
      end
      if follow(buf) then
        return
      end
      M.hide()
      if config.values.auto_suggest then
        timer:start(config.values.debounce_ms, 0, vim.schedule_wrap(function()
          if vim.api.nvim_get_current_buf() == buf and vim.startswith(vim.api.nvim_get_mode().mode, 'i') then
            M.request('automatic')
          end
        end))
      end
    end,
  })
  vim.api.nvim_create_autocmd({ 'InsertLeave', 'BufLeave' }, {
    group = group,
    buffer = buf,
    callback = function()
      timer:stop()
      cancel()
      M.hide()
    end,
  })
  vim.api.nvim_create_autocmd('BufWipeout', {
    group = group,
    buffer = buf,
    callback = function()
      timer:stop()
      timer:close()
      vim.api.nvim_del_augroup_by_id(group)
    end,
  })
end

return M
