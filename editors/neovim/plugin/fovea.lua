require('fovea.commands').create()
