--- Starts the server for the user's buffers and offers the functions that mappings call.
local config = require('fovea.config')
local client = require('fovea.client')
local ghost_text = require('fovea.ghost_text')

local M = {}

--- Call once, from init.lua. Without arguments all defaults hold.
function M.setup(user)
  config.set(user)
  client.enable()
end

--- Accepts the whole suggestion. Returns false if none is shown, so that a mapping can fall back.
function M.accept()
  return ghost_text.accept('all')
end

--- Accepts up to the end of the next word.
function M.accept_word()
  return ghost_text.accept('word')
end

--- Accepts the first line.
function M.accept_line()
  return ghost_text.accept('line')
end

--- Asks for a suggestion now.
function M.suggest()
  ghost_text.request('invoked')
end

--- True while a suggestion is shown.
function M.visible()
  return ghost_text.visible()
end

--- Hides the suggestion.
function M.dismiss()
  ghost_text.hide()
end

return M
