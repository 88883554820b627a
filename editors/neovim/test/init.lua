-- What a user's init.lua does: the plugin on the runtime path, mappings as its help file says.
local plugin = vim.fn.fnamemodify(debug.getinfo(1, 'S').source:sub(2), ':p:h:h')
vim.opt.runtimepath:append(plugin)
vim.opt.swapfile = false

-- Questions and messages are kept for the test, which has no screen.
_G.test = { choices = {}, messages = {} }
vim.notify = function(message)
  table.insert(_G.test.messages, message)
end
vim.ui.select = function(items, options, choose)
  table.insert(_G.test.choices, vim.tbl_map(options.format_item or tostring, items))
  choose(items[1], 1)
end

-- Source that a measurement runs before the plugin is there.
assert(loadstring(vim.env.FOVEA_TEST_BEFORE or ''))()

require('fovea').setup(assert(loadstring('return ' .. vim.env.FOVEA_TEST_SETUP))())

vim.keymap.set('i', '<Tab>', function()
  return require('fovea').accept() and '' or '<Tab>'
end, { expr = true })
vim.keymap.set('i', '<C-l>', function() require('fovea').accept_word() end)
vim.keymap.set('i', '<C-j>', function() require('fovea').accept_line() end)
vim.keymap.set('i', '<C-e>', function() require('fovea').dismiss() end)
